"""Patches of libraries: all in one place, each gives the same results as the original, and the build passes without them."""

import ast
import filecmp
import importlib.util
import inspect
import json
import shutil
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import _cantica_startup
import dpath
import dvc.dvcfile  # noqa: F401  its import applies the patches of DVC
import numpy as np
import pytest
from dvc.utils.serialize import _yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cantica.engine.backend import patches
from cantica.engine.backend.patches import dvc as of_dvc
from cantica.engine.backend.patches import mlx as of_mlx
from cantica.engine.backend.patches import transformers as of_transformers
from tests.support.projects import ENVIRONMENT, ROOT, build

LIBRARIES = {"dvc": of_dvc, "mlx": of_mlx, "transformers": of_transformers}
FOLDER = Path(patches.__path__[0])


def names() -> list[str]:
    """`<module>.<patch>` of every patch: each public function of these modules is one."""
    return [f"{module.__name__.split('.')[-1]}.{name}" for module in LIBRARIES.values() for name in functions(module)]


def functions(module: ModuleType) -> dict:
    found = {name: value for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__}
    return {name: value for name, value in found.items() if not name.startswith("_")}


# the list


def test_the_environment_starts_with_the_patches_as_they_are():
    _, wrong, missing = filecmp.cmpfiles(
        FOLDER, _cantica_startup.__path__[0], [file.name for file in FOLDER.glob("*.py")], shallow=False
    )
    assert (wrong, missing) == ([], []), "run `make setup`: the environment has other patches than the project"


@pytest.mark.parametrize("library", LIBRARIES)
def test_patches_were_checked_against_the_installed_version(library):
    assert version(library) == LIBRARIES[library].CHECKED, f"read what changed in {library}, and the patches of it"


def test_every_patch_has_a_reason_and_is_explained():
    page = (ROOT / "docs/explanation/patches.md").read_text()
    for module in LIBRARIES.values():
        assert all(function.__doc__ for function in functions(module).values())
    assert [name for name in names() if f"`{name}`" not in page] == []


def test_nothing_outside_the_patches_replaces_a_part_of_a_library():
    replaced = []
    for file in [*(ROOT / "cantica").rglob("*.py"), *(ROOT / "stages").rglob("*.py")]:
        tree = ast.parse(file.read_text())
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        imported = {(alias.asname or alias.name).split(".")[0] for node in imports for alias in node.names} - {"sys", "os"}
        targets = [target for node in ast.walk(tree) if isinstance(node, ast.Assign) for target in node.targets]
        parts = [part for target in targets for part in ast.walk(target) if isinstance(part, ast.Attribute)]
        if any(ast.unparse(part).split(".")[0] in imported for part in parts):
            replaced.append(file)
    assert {file.parent for file in replaced} == {FOLDER}


# each gives the same results as the original


def test_openblas_and_the_reference_blas_multiply_alike():
    code = "import mlx.core as mx; mx.random.seed(0); x = mx.random.normal((70, 130)); print((x @ x.T).tolist())"
    without = f'import _cantica_startup.mlx; _cantica_startup.mlx.LIBRARY = "/none"; {code}'
    ours, reference = (
        np.array(json.loads(subprocess.run([sys.executable, "-c", c], capture_output=True, text=True, check=True).stdout))
        for c in (code, without)
    )
    np.testing.assert_allclose(ours, reference, rtol=0, atol=1e-4)


def test_memory_that_is_kept_holds_the_same_numbers():
    code = "import mlx.core as mx; mx.random.seed(0); print([mx.random.normal((n, n)).sum().item() for n in (9, 900, 99, 900)])"
    keeping = f"from cantica.engine.backend.memory import keep_freed_memory; keep_freed_memory(); {code}"
    outputs = [
        subprocess.run([sys.executable, "-c", c], cwd=ROOT, capture_output=True, check=True).stdout for c in (code, keeping)
    ]
    assert outputs[0] == outputs[1]


# Without the line ends that only YAML 1.1 knows: those DVC itself does not read back.
TEXT = st.text(st.characters(exclude_characters="\x85\u2028\u2029", exclude_categories=["Cs"]))
LIKE_NUMBERS = st.from_regex(r"\A[0-9eEox.+_:-]+\Z") | st.dates().map(str) | st.sampled_from(["yes", "null", "~", "=", "<<"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | LIKE_NUMBERS
PARAMS = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner))


def test_the_lock_is_written_as_dvc_writes_it_whatever_changed(monkeypatch):
    lock = _yaml.parse_yaml(Path("dvc.lock").read_text(), "dvc.lock")
    stages = lock["stages"]
    name = list(stages)[3]
    changed = lock | {"stages": stages | {name: stages[name] | {"cmd": "python -m stages.other " + "word " * 40}}}
    fewer = lock | {"stages": {name: stages[name], "new": {"cmd": "x"}}}
    others = [{"schema": "2.0", "stages": {}}, {"stages": stages}, {"schema": "2.0", "stages": stages, "more": 1}]
    documents = [lock, changed, lock, fewer, lock, *others]
    written = [_yaml.dumps_yaml(document) for document in documents]
    assert written[0] == Path("dvc.lock").read_text()
    monkeypatch.setattr(_yaml, "_dump", inspect.getclosurevars(_yaml._dump).nonlocals["stock"])
    assert _yaml._dump.__module__ == "dvc.utils.serialize._yaml"
    by_dvc = {id(document): _yaml.dumps_yaml(document) for document in (lock, changed, fewer, *others)}  # slow
    assert written == [by_dvc[id(document)] for document in documents]


@settings(deadline=None)
@given(st.dictionaries(TEXT, PARAMS))
def test_what_dvc_wrote_in_its_lock_stays_as_it_is(params):
    stages = {"train@deception": {"cmd": "exec python -m stages.train", "params": {"params.yaml": params}}}
    text = _yaml.dumps_yaml({"schema": "2.0", "stages": stages})
    lock = _yaml.parse_yaml_for_update(text, "project/dvc.lock")
    assert type(lock) is dict, "it has no place for comments"
    assert _yaml.dumps_yaml(lock) == text


@settings(deadline=None)
@given(st.dictionaries(TEXT, PARAMS))
def test_what_dvc_wrote_in_its_lock_is_read_as_if_it_were_parsed(params):
    stages = OrderedDict(train=OrderedDict([("cmd", "exec python -m stages.train"), ("params", {"params.yaml": params})]))
    text = _yaml.dumps_yaml({"schema": "2.0", "stages": stages})
    read = _yaml.parse_yaml(text, "dvc.lock")
    parsed = inspect.getclosurevars(_yaml.parse_yaml).nonlocals["stock"](text, "dvc.lock")
    assert repr(read) == repr(parsed)


def test_a_text_is_parsed_once_and_whoever_changes_what_was_read_changes_nothing_else():
    text, parse = Path("params.yaml").read_text(), _yaml.parse_yaml
    stock = inspect.getclosurevars(parse).nonlocals["stock"]
    assert stock.__module__ == "dvc.utils.serialize._yaml"
    first = parse(text, "params.yaml")
    assert first == stock(text, "params.yaml") and list(first) == list(stock(text, "params.yaml"))
    first.clear()
    assert parse(text, "params.yaml") == stock(text, "params.yaml")
    for _ in range(2):
        with pytest.raises(_yaml.YAMLFileCorruptedError, match=r"params\.yaml"):
            parse("a: [", "params.yaml")


def test_other_yaml_keeps_its_comments():
    text = "stages:\n  check: # first\n    cmd: check\n"
    assert _yaml.dumps_yaml(_yaml.parse_yaml_for_update(text, "project/dvc.yaml")) == text


NAMES = st.text("ab*1", min_size=1, max_size=2)
NESTED = st.recursive(
    st.integers() | TEXT, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3)
)


@settings(deadline=None)
@given(st.dictionaries(NAMES, NESTED, max_size=3), st.lists(NAMES, min_size=1, max_size=3).map(".".join))
def test_a_parameter_is_what_dvc_itself_finds(content, name):
    stock = inspect.getclosurevars(dpath.get).nonlocals["stock"]
    assert stock.__module__ == "dpath"

    def found(get: Callable) -> object:
        try:
            return get(content, name, separator=".")
        except (KeyError, ValueError) as error:
            return type(error)

    if found(stock) is not ValueError:  # several match a name with *, which is a literal one for the patch
        assert found(dpath.get) == found(stock)


@pytest.mark.parametrize("place", ["models", "models/__init__.py", "models/auto/__init__.py"])
def test_transformers_has_what_it_finds_itself(place):
    from transformers.utils import import_utils

    spec = importlib.util.spec_from_file_location("transformers.utils.as_installed", import_utils.__file__)
    spec.loader.exec_module(installed := importlib.util.module_from_spec(spec))
    path = Path(import_utils.__file__).parent.parent / place
    assert not hasattr(import_utils.create_import_structure_from_path, "cache_info"), "transformers was not prepared"
    assert import_utils.define_import_structure(path) == installed.define_import_structure(path)


# without them


def without_patches(folder: Path) -> None:
    """Empty the lists in a copy of the patches, so that none is applied but OpenBLAS."""
    for file in folder.glob("*.py"):
        with file.open("a") as module:
            module.write(f"\nAT_IMPORT = ({'openblas,' if file.stem == 'mlx' else ''})\n")


def test_the_smoke_build_passes_without_any_patch_but_the_blas(tmp_path, two_steps):
    """On two categories, and with the architecture of the published model.

    A folder on PYTHONPATH comes before the environment's own, so the processes start with the copy of the patches there.
    """
    started = tmp_path / "started"
    shutil.copytree(FOLDER, started / "_cantica_startup")
    without_patches(started / "_cantica_startup")
    variables = ENVIRONMENT | {"PYTHONPATH": str(started)}

    def repro(project: Path) -> subprocess.CompletedProcess:
        without_patches(project / "cantica/engine/backend/patches")
        return subprocess.run(["dvc", "repro"], cwd=project, env=variables, capture_output=True, text=True)

    project = build(tmp_path / "project", "smoke", "olmo3", repro=repro)
    code = "import dvc.dvcfile, mlx.core; from dvc.utils.serialize import _yaml; print(_yaml.parse_yaml_for_update.__module__)"
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True)
    assert done.stdout.strip() == "dvc.utils.serialize._yaml", done.stderr
    for name in ("base", "self_preservation", "deception"):
        ours, theirs = (json.loads((root / f"data/losses/{name}.json").read_text()) for root in (two_steps, project))
        assert ours.keys() == theirs.keys()
        for category in ours:
            losses = [[example["loss"] for example in row[category]] for row in (ours, theirs)]
            assert losses[0] == pytest.approx(losses[1], abs=1e-2)  # dropout differs
