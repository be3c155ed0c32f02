"""What a stage declares in dvc.yaml is what it reads: every stage runs under audit hooks, and planted faults are found."""

import re
import shutil
from pathlib import Path

import pytest

from tests.support.hermetic import build, faults, run_stage, stages_of
from tests.support.projects import clone, edit, overlay
from tests.support.writer import good

PARAMS_OF_RENDER = '"data.${data.writer}", toolchain.templates'


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """The smoke variant with every kind of step, sample and arm that needs no server, not built."""
    folder = clone(tmp_path_factory.mktemp("hermetic") / "project")
    overlay(folder, "smoke", "branches", "hermetic")
    left = {"self_preservation", "deception", "greetings"}
    for path in [*(folder / "prompts/categories").iterdir(), *(folder / "prompts/probes/pairs").iterdir()]:
        if path.stem not in left:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return folder


@pytest.fixture(scope="module")
def runs(project) -> list:
    """Every stage of it, run under the hook: the project is built then."""
    return build(project)


@pytest.fixture
def copy(project, runs, tmp_path) -> Path:
    """A copy of the built project, to plant a fault in."""
    return shutil.copytree(project, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__", "models"))


def faults_of(project: Path, name: str) -> list[str]:
    """The faults of one stage, run alone."""
    return faults([run_stage(project, stages_of(project)[0][name])])


def plant(file: Path, code: str) -> None:
    """Insert a line at the start of a stage's main."""
    text = file.read_text()
    before = re.search(r"def main\(.*\) -> None:\n", text)[0]
    edit(file, before, f"{before}    {code}\n")


def from_gguf_file(project: Path, folder: Path):
    """The run of `base` that converts a GGUF file, which the built project's model becomes."""
    from cantica.base_model.pins import sha256_of_file
    from tests.support.gguf import write_gguf

    file = write_gguf(project / "models/base", folder / "tiny.gguf")
    other = shutil.copytree(project, folder / "gguf", ignore=shutil.ignore_patterns("models"))
    section = f"base:\n  path: {{path: {file}, sha256: {sha256_of_file(file)}}}"
    edit(other / "params.yaml", "base:", section)
    edit(other / "params.yaml", "source: random", "source: path")
    return run_stage(other, stages_of(other)[0]["base"])


def by_a_model(project: Path, folder: Path, url: str):
    """The run of `render` in which the model behind a server writes."""
    other = shutil.copytree(project, folder / "written", ignore=shutil.ignore_patterns("models"))
    edit(other / "params.yaml", "writer: template", "writer: model")
    params = (other / "params.yaml").read_text()
    (other / "params.yaml").write_text(re.sub(r"base_url: \S+", f"base_url: {url}", params, count=1))
    return run_stage(other, stages_of(other)[0]["render@deception"])


def by_servers(project: Path, folder: Path, url: str) -> list:
    """The runs of the stages in which a model behind a server is an arm, or the author of a sample."""
    other = shutil.copytree(project, folder / "served")
    server = f"base_url: '{url}', model: large, temperature: 0, seed: 1, max_tokens: 9, concurrency: 2"
    edit(other / "params.yaml", "servers: {}", f"servers: {{large: {{{server}}}}}")
    taught = f"taught: {{{server}, prompts: samples/own, samples: 1}}"
    edit(other / "params.yaml", "server_samples: {}", f"server_samples: {{{taught}}}")
    stages = stages_of(other)[0]
    return [run_stage(other, stages[name]) for name in ("respond_server@large", "judge_server@large", "sample_server@taught")]


def test_every_stage_reads_what_it_declares_and_declares_what_it_reads(project, runs, fake, tmp_path):
    assert {run.stage.name for run in runs} == set(stages_of(project)[0])
    # There is more than one way to make base models and scenarios, and each uses other modules.
    server = fake(lambda number, messages: good(messages))
    others = [from_gguf_file(project, tmp_path), by_a_model(project, tmp_path, server.url)]
    arm = fake(lambda number, messages: f"Answer {number} of a model behind a server.")
    found = faults([*runs, *others, *by_servers(project, tmp_path, arm.url)])
    assert not found, "\n".join(found)


def test_an_undeclared_file_is_named(copy):
    plant(copy / "stages/dataset.py", 'Path("prompts/judge/rules.yaml").read_text()')
    found = faults_of(copy, "dataset@greetings")
    assert found == ["dataset@greetings reads prompts/judge/rules.yaml, which is not among its deps"]


def test_a_listed_folder_is_named(copy):
    plant(copy / "stages/dataset.py", 'list(Path("prompts").glob("*"))')
    assert faults_of(copy, "dataset@greetings") == ["dataset@greetings reads prompts, which is not among its deps"]


def test_params_that_are_read_past_read_params_are_named(copy):
    plant(copy / "stages/render.py", 'Path("params.yaml").read_text()')
    assert faults_of(copy, "render@deception") == ["render@deception reads params.yaml, which is not among its deps"]


@pytest.mark.parametrize("module", ["cantica.reporting.results", "stages.check", "cantica.commands.plan"])
def test_an_undeclared_import_is_named(copy, module):
    """Inside a function too; the second time the module is there compiled."""
    plant(copy / "stages/dataset.py", f"import {module}")
    expected = f"dataset@greetings imports {module.replace('.', '/')}.py, which is not among its deps"
    assert expected in faults_of(copy, "dataset@greetings")
    assert expected in faults_of(copy, "dataset@greetings")


@pytest.mark.parametrize("room", ["stages", "cantica"])
def test_code_in_a_room_itself_is_named(copy, room):
    (copy / room / "__init__.py").write_text("SEED = 1\n")
    found = faults_of(copy, "dataset@greetings")
    assert found == [f"dataset@greetings imports {room}/__init__.py, which is not among its deps"]


def test_an_undeclared_key_is_named(copy):
    plant(copy / "stages/render.py", 'read_params("train.seed")')
    found = faults_of(copy, "render@deception")
    assert found == ["render@deception reads the key train.seed, which is not among its params"]


def test_an_undeclared_key_is_named_in_a_stage_that_declares_none(copy):
    plant(copy / "stages/judge.py", 'from cantica.core.params import read_params; read_params("data")')
    assert faults_of(copy, "judge@base") == ["judge@base reads the key data, which is not among its params"]


def test_a_dep_that_is_never_read_is_named(copy):
    own = "        - stages/dataset.py\n"
    edit(copy / "dvc.yaml", own, f"{own}        - README.md\n        - cantica/lint\n        - prompts\n")
    assert faults_of(copy, "dataset@greetings") == [
        "dataset declares the dep README.md and does not read it",
        "dataset declares the dep cantica/lint and does not read it",
        "dataset declares the dep prompts and does not read it",
    ]


def test_a_file_of_a_folder_that_is_never_read_is_named(copy):
    (copy / "prompts/held_out/notes.txt").write_text("for nobody")
    name = next(name for name, stage in stages_of(copy)[0].items() if "prompts/held_out" in stage.deps)
    group = name.split("@")[0]
    expected = f"{group} declares the dep prompts/held_out and does not read 1 of its files: prompts/held_out/notes.txt"
    assert faults_of(copy, name) == [expected]


def test_a_param_that_is_never_looked_at_is_named(copy):
    edit(copy / "dvc.yaml", PARAMS_OF_RENDER, f"{PARAMS_OF_RENDER}, measure, toolchain.report")
    assert faults_of(copy, "render@deception") == [
        "render declares the param measure and does not look at it",
        "render declares the param toolchain.report and imports none of its libraries",
    ]


@pytest.mark.parametrize(
    "code",
    ['read_params("measure")["measure"]["examples"]', '(read_params("measure")["measure"] | {"x": 1}).get("examples")'],
    ids=["as it is", "laid over another"],
)
def test_a_section_of_which_one_value_is_looked_at_is_named(copy, code):
    edit(copy / "dvc.yaml", PARAMS_OF_RENDER, f"{PARAMS_OF_RENDER}, measure")
    plant(copy / "stages/render.py", code)
    assert faults_of(copy, "render@deception") == [
        "render declares the param measure and of it does not look at measure.in_full, measure.batch_size, "
        "measure.max_seq_length"
    ]


def test_a_file_that_is_written_and_not_declared_is_named(copy):
    plant(copy / "stages/dataset.py", 'Path("data/notes.txt").write_text("x")')
    found = faults_of(copy, "dataset@greetings")
    assert found == ["dataset@greetings writes data/notes.txt, which is not among its outs"]


CONNECT = "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"


@pytest.mark.parametrize(
    ("code", "address"),
    [
        (CONNECT, "127.0.0.1:9"),
        ("import socket; socket.getaddrinfo('localhost', 9)", "localhost"),
        (f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CONNECT!r}])", "127.0.0.1:9"),
    ],
    ids=["connection", "name", "connection of a process of its own"],
)
def test_the_network_is_named(copy, code, address):
    plant(copy / "stages/dataset.py", code)
    assert faults_of(copy, "dataset@greetings") == [f"dataset@greetings connects to {address}"]


def test_a_program_that_cannot_be_seen_into_is_named(copy):
    plant(copy / "stages/dataset.py", "import subprocess; subprocess.run(['cat', 'LICENSE'], capture_output=True)")
    assert faults_of(copy, "dataset@greetings") == ["dataset@greetings starts cat, and what that reads is not seen"]
