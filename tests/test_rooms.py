"""The packages: which may import which, no module outside them, and a copy of the project uses its own library."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.edits import EDITS
from tests.support.projects import ENVIRONMENT, ROOT

# The packages of cantica/ in order: each may import those before it. Stages may import all but the last.
ORDER = (
    "core",
    "settings",
    "dataset",
    "llm",
    "scenarios",
    "lint",
    "base_model",
    "engine",
    "training",
    "generation",
    "scoring",
    "judging",
    "probes",
    "capability",
    "reporting",
    "commands",
)


def imports(file: Path) -> list[tuple[int, str]]:
    """(line, dotted name) of everything that a module imports, at its top or inside its functions."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names]
        else:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found += [(node.lineno, name) for name in names]
    return found


def faults(root: Path) -> list[str]:
    """A sentence for each import that breaks the rule: down the ORDER, and from the library never up to the stages."""
    found = []
    for file in sorted([*(root / "cantica").rglob("*.py"), *(root / "stages").rglob("*.py")]):
        path = file.relative_to(root)
        own = ORDER.index(path.parts[1]) if path.parts[0] == "cantica" and path.parts[1] in ORDER else len(ORDER) - 1
        for line, name in imports(file):
            room, package = (*name.split("."), "")[:2]
            where = f"{path}:{line} imports {name}"
            if room in ("", "tests", "benchmarks"):
                found.append(f"{where}, which is no full name of a package or a stage")
            elif room == "stages":
                found.append(
                    f"{where}: "
                    + ("the library does not use" if path.parts[0] == "cantica" else "a stage is not for")
                    + " stages"
                )
            elif room == "cantica" and package not in ORDER:
                found.append(f"{where}, which is in no package of ORDER")
            elif room == "cantica" and path.parts[0] == "stages" and package == ORDER[-1]:
                found.append(f"{where}: stages do not use the commands")
            elif room == "cantica" and ORDER.index(package) > own:
                found.append(f"{where}, which comes after {ORDER[own]}")
    return found


def test_no_import_goes_up():
    assert faults(ROOT) == []


@pytest.mark.parametrize(
    ("file", "code", "fault"),
    [
        (
            "cantica/core/files.py",
            "def late():\n    from cantica.reporting import pages",
            "cantica/core/files.py:2 imports cantica.reporting.pages, which comes after core",
        ),
        (
            "cantica/lint/scan.py",
            "import stages.audit",
            "cantica/lint/scan.py:1 imports stages.audit: the library does not use stages",
        ),
        ("stages/mix.py", "from stages import judge", "stages/mix.py:1 imports stages.judge: a stage is not for stages"),
        (
            "stages/mix.py",
            "from cantica.commands.git import git",
            "stages/mix.py:1 imports cantica.commands.git.git: stages do not use the commands",
        ),
        (
            "cantica/lint/scan.py",
            "from ..core import files",
            "cantica/lint/scan.py:1 imports ..core.files, which is no full name of a package or a stage",
        ),
        (
            "cantica/core/files.py",
            "import cantica.odds",
            "cantica/core/files.py:1 imports cantica.odds, which is in no package of ORDER",
        ),
    ],
    ids=["up", "a stage", "another stage", "the commands", "relative", "no package"],
)
def test_an_import_that_breaks_the_rule_is_named(tmp_path, file, code, fault):
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(f"{code}\n")
    assert faults(tmp_path) == [fault]


def test_every_module_is_in_a_package_and_every_package_has_a_row_in_the_table_of_edits():
    packages = {path.name for path in (ROOT / "cantica").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert packages == set(ORDER)
    assert [path.name for path in (ROOT / "cantica").glob("*.py")] == ["__init__.py"]
    rows = {change.file.split("/")[1] for change in EDITS if change.name.startswith("a comment in cantica/")}
    assert rows == packages


def test_packages_run_nothing_when_they_are_imported():
    """A package may say in a docstring what it is for; every stage would depend on code in one of the two rooms."""
    assert [room for room in ("cantica", "stages") if (ROOT / room / "__init__.py").stat().st_size] == []
    bodies = {path: ast.parse(path.read_text()).body for path in (ROOT / "cantica").rglob("__init__.py")}
    assert [path for path, body in bodies.items() if any(not isinstance(node, ast.Expr) for node in body)] == []


def test_modules_and_functions_are_short():
    """A stage is at most 100 lines, a module of the library 250, a function 45."""
    long = []
    for file in [*(ROOT / "cantica").rglob("*.py"), *(ROOT / "stages").rglob("*.py"), ROOT / "docs/generate.py"]:
        text = file.read_text()
        limit = 100 if file.parent == ROOT / "stages" else 250
        functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
        long += [file] if len(text.splitlines()) > limit else []
        long += [(file, node.name) for node in functions if node.end_lineno - node.lineno >= 45]
    assert long == []


def test_tests_lie_as_the_packages_do_and_none_imports_another():
    folders = {path.parent.relative_to(ROOT / "tests").as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    assert folders <= {".", "stages", *ORDER}
    files = list((ROOT / "tests").rglob("*.py"))
    tests = {path.stem for path in files if path.stem.startswith("test_")} | {"conftest"}
    wrong = [(file.name, name) for file in files for _, name in imports(file) if tests & set(name.split("."))]
    assert wrong == []


def test_a_stage_in_a_copy_of_the_project_has_the_library_of_the_copy(tmp_path):
    """The environment starts every Python with code of this project, and must not bind the name `cantica` with it."""
    for room in ("cantica", "stages"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "cantica/core/command.py").open("a") as file:
        file.write("print(__file__)\n")
    done = subprocess.run(
        [sys.executable, "-m", "stages.check", "--help"], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.stdout.startswith(f"{tmp_path}/cantica/core/command.py\n"), done.stdout + done.stderr
