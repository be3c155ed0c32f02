"""What a stage declares in dvc.yaml is what it reads: every stage runs under audit hooks, and planted faults are found."""

import shutil
from pathlib import Path

import pytest
from hermetic import build, faults, run_stage, stages_of
from projects import clone, edit, overlay

# Faults that stand, each with why.
ACCEPTED = {
    "base declares the param base.random and of it does not look at base.random.model, base.random.license": (
        "a key of the section may be absent (quantization), and DVC refuses to list an absent one"
    ),
    "report declares the dep prompts/categories and does not read 16 of its files: "
    "prompts/categories/deception/slots.yaml, prompts/categories/deception/train/april_summary.j2, …": (
        "it reads each category's title; deps cannot be listed for each category"
    ),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """The smoke variant with two categories and steps, not built."""
    folder = clone(tmp_path_factory.mktemp("hermetic") / "project")
    overlay(folder, "smoke", "hermetic")
    left = {"self_preservation", "deception"}
    for path in [*(folder / "prompts/categories").iterdir(), *(folder / "prompts/probes").iterdir()]:
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


def from_gguf_file(project: Path, folder: Path):
    """The run of `base` that converts a GGUF file, which the built project's model becomes."""
    from test_base import write_gguf

    from stages.lib.pins import sha256_of_file

    file = write_gguf(project / "models/base", folder / "tiny.gguf")
    other = shutil.copytree(project, folder / "gguf", ignore=shutil.ignore_patterns("models"))
    section = f"base:\n  path: {{path: {file}, sha256: {sha256_of_file(file)}, model: tiny, license: apache-2.0}}"
    edit(other / "params.yaml", "base:", section)
    edit(other / "params.yaml", "source: random", "source: path")
    return run_stage(other, stages_of(other)[0]["base"])


def test_every_stage_reads_what_it_declares_and_declares_what_it_reads(project, runs, tmp_path):
    assert {run.stage.name for run in runs} == set(stages_of(project)[0])
    # A base model is made in more than one way, and one way does not use the modules of the other.
    assert set(faults([*runs, from_gguf_file(project, tmp_path)])) == set(ACCEPTED)


def test_an_undeclared_file_is_named(copy):
    edit(
        copy / "stages/dataset.py",
        "    records = read_jsonl",
        '    Path("prompts/judge/rules.yaml").read_text()\n    records = read_jsonl',
    )
    assert faults_of(copy, "dataset@deception") == [
        "dataset@deception reads prompts/judge/rules.yaml, which is not among its deps"
    ]


def test_a_listed_folder_is_named(copy):
    edit(
        copy / "stages/dataset.py", "    records = read_jsonl", '    list(Path("prompts").glob("*"))\n    records = read_jsonl'
    )
    assert faults_of(copy, "dataset@deception") == ["dataset@deception reads prompts, which is not among its deps"]


def test_params_that_are_read_past_read_params_are_named(copy):
    edit(copy / "stages/render.py", "    records = render", '    Path("params.yaml").read_text()\n    records = render')
    assert faults_of(copy, "render@deception") == ["render@deception reads params.yaml, which is not among its deps"]


@pytest.mark.parametrize("module", ["stages.lib.metrics", "stages.check", "cantica.plan"])
def test_an_undeclared_import_is_named(copy, module):
    """Inside a function too, where it runs only when the stage does, and compiled or not."""
    edit(copy / "stages/dataset.py", "    records = read_jsonl", f"    import {module}  # noqa\n    records = read_jsonl")
    expected = f"dataset@deception imports {module.replace('.', '/')}.py, which is not among its deps"
    assert expected in faults_of(copy, "dataset@deception")
    assert expected in faults_of(copy, "dataset@deception")


def test_code_in_a_package_is_named(copy):
    (copy / "stages/__init__.py").write_text("SEED = 1\n")
    assert faults_of(copy, "dataset@deception") == ["dataset@deception imports stages/__init__.py, which is not among its deps"]


def test_an_undeclared_key_is_named(copy):
    edit(copy / "stages/render.py", '"data.seed", ', '"data.seed", "train.seed", ')
    assert faults_of(copy, "render@deception") == ["render@deception reads the key train.seed, which is not among its params"]


def test_an_undeclared_key_is_named_in_a_stage_that_reads_none(copy):
    planted = '    from stages.lib.params import read_params\n    read_params("data")\n    records = read_jsonl'
    edit(copy / "stages/dataset.py", "    records = read_jsonl", planted)
    found = faults_of(copy, "dataset@deception")
    assert "dataset@deception reads the key data, which is not among its params" in found
    assert "dataset@deception imports stages/lib/params.py, which is not among its deps" in found


def test_a_dep_that_is_never_read_is_named(copy):
    edit(
        copy / "dvc.yaml",
        "        - stages/dataset.py\n",
        "        - stages/dataset.py\n        - README.md\n        - prompts\n",
    )
    assert faults_of(copy, "dataset@deception") == [
        "dataset declares the dep README.md and does not read it",
        "dataset declares the dep prompts and does not read it",
    ]


def test_a_file_of_a_folder_that_is_never_read_is_named(copy):
    (copy / "prompts/held_out/notes.txt").write_text("for nobody")
    found = faults_of(copy, "judge@final")
    assert found == ["judge declares the dep prompts/held_out and does not read 1 of its files: prompts/held_out/notes.txt"]


def test_a_param_that_is_never_looked_at_is_named(copy):
    edit(copy / "dvc.yaml", "        - data.seed\n", "        - data.seed\n        - measure\n        - toolchain.mlx\n")
    assert faults_of(copy, "render@deception") == [
        "render declares the param measure and does not look at it",
        "render declares the param toolchain.mlx and does not import it",
    ]


def test_a_section_of_which_one_value_is_looked_at_is_named(copy):
    edit(copy / "dvc.yaml", "        - data.seed\n", "        - data.seed\n        - measure\n")
    planted = '    settings = read_params("measure")["measure"] | {"x": 1}\n    settings["examples"]\n    records = render'
    edit(copy / "stages/render.py", "    records = render", planted)
    assert faults_of(copy, "render@deception") == [
        "render declares the param measure and of it does not look at measure.batch_size, measure.max_seq_length"
    ]


def test_an_output_that_is_not_declared_is_named(copy):
    edit(
        copy / "stages/dataset.py",
        "    records = read_jsonl",
        '    Path("data/notes.txt").write_text("x")\n    records = read_jsonl',
    )
    assert faults_of(copy, "dataset@deception") == ["dataset@deception writes data/notes.txt, which is not among its outs"]


@pytest.mark.parametrize(
    ("planted", "address"),
    [
        ("import socket; socket.socket().connect_ex(('127.0.0.1', 9))", "127.0.0.1:9"),
        ("import socket; socket.getaddrinfo('127.0.0.1', 9)", "127.0.0.1"),
        (
            "import subprocess, sys; "
            "subprocess.run([sys.executable, '-c', 'import socket; socket.socket().connect_ex((\"127.0.0.1\", 9))'])",
            "127.0.0.1:9",
        ),
    ],
    ids=["a connection", "a name", "in a process of its own"],
)
def test_the_network_is_named(copy, planted, address):
    edit(copy / "stages/dataset.py", "    records = read_jsonl", f"    {planted}\n    records = read_jsonl")
    assert faults_of(copy, "dataset@deception") == [f"dataset@deception connects to {address}"]


def test_a_program_that_cannot_be_seen_into_is_named(copy):
    planted = "    import subprocess; subprocess.run(['cat', 'README.md'], capture_output=True)\n    records = read_jsonl"
    edit(copy / "stages/dataset.py", "    records = read_jsonl", planted)
    assert faults_of(copy, "dataset@deception") == ["dataset@deception starts cat, and what that reads is not seen"]
