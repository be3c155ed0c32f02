"""Consistency of the repository: code with dvc.yaml and schemas, commands with the documentation."""

import ast
import json
import re
import subprocess
import sys
from argparse import ArgumentParser, _SubParsersAction
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from cantica.commands.cli import parser

ROOT = Path(__file__).parent.parent
PIPELINE = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())
STAGES = {name: stage.get("do", stage) for name, stage in PIPELINE["stages"].items()}
VALIDATORS = {"validate", "validate_records", "validated", "validator"}


def module_of(stage: dict) -> str:
    return re.search(r"python -m stages\.(\w+)", stage["cmd"])[1]


def imported(file: Path) -> set[Path]:
    """Project modules that a module imports, at its top or inside its functions, but for those of which it needs only types."""
    found, tree = set(), ast.parse(file.read_text())
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    types = {id(node) for block in blocks for node in block.body}
    for node in ast.walk(tree):
        if id(node) in types:
            continue
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {path for name in names if (path := ROOT / f"{name.replace('.', '/')}.py").exists()}
    return found


def closure(file: Path) -> set[Path]:
    reached, waiting = set(), {file}
    while waiting:
        reached |= waiting
        waiting = set().union(*(imported(path) for path in waiting)) - reached
    return reached


def schemas(file: Path) -> set[str]:
    """Schemas that a module validates against: the string constants in its calls of the validating functions."""
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    calls = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in VALIDATORS]
    constants = [a.value for call in calls for a in call.args if isinstance(a, ast.Constant)]
    return {f"schemas/{name}.schema.json" for name in constants}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_just_the_packages_and_schemas_that_it_uses(name):
    """Packages whole; of the writers' schemas, dvc.yaml names those of the writer that params.yaml chooses."""
    modules = closure(ROOT / "stages" / f"{module_of(STAGES[name])}.py")
    expected = {str(path.relative_to(ROOT)) for path in modules} | set().union(*map(schemas, modules))
    expected = {re.sub(r"^(cantica/\w+)/.*", r"\1", path) for path in expected}
    expected = {re.sub(r"^(schemas/writers)/.*", r"\1/${data.writer}", path) for path in expected}
    assert {dep for dep in STAGES[name]["deps"] if re.match(r"(cantica|stages|schemas)/", dep)} == expected


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_described_and_its_module_has_its_name(name):
    assert STAGES[name]["desc"]
    assert name.startswith(module_of(STAGES[name]))


def test_every_stage_module_is_a_stage():
    assert {path.stem for path in (ROOT / "stages").glob("[!_]*.py")} == {module_of(stage) for stage in STAGES.values()}


def templates_of(stage: dict) -> set[Path]:
    """The templates that a stage renders, and what these include: all are named in quotes."""
    found, waiting = set(), {ROOT / "stages" / f"{module_of(stage)}.py"}
    while waiting:
        found |= waiting
        names = {name for file in waiting for name in re.findall(r'"([\w.]+\.j2)"', file.read_text())}
        waiting = {ROOT / "cantica/reporting/templates" / name for name in names} - found
    return {file for file in found if file.suffix == ".j2"}


def test_every_template_is_a_stages():
    used = set().union(*map(templates_of, STAGES.values()))
    assert used == set((ROOT / "cantica/reporting/templates").iterdir())


def objects(schema):
    if isinstance(schema, dict):
        if schema.get("type") == "object" or "properties" in schema:
            yield schema
        for key, value in schema.items():
            if key not in ("allOf", "if", "then", "else"):
                yield from objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects(value)


@pytest.mark.parametrize("file", sorted((ROOT / "schemas").rglob("*.json")), ids=lambda path: path.name)
def test_schemas_are_valid_and_closed(file):
    from jsonschema import Draft202012Validator

    schema = json.loads(file.read_text())
    Draft202012Validator.check_schema(schema)
    # Two objects may have other keys: a variant's overlay, which is validated with params once it is applied, and a model's
    # configuration, which mlx-lm defines.
    open_ones = [s.get("description", "") for s in objects(schema) if "additionalProperties" not in s]
    assert all("laid over params.yaml" in text or "mlx-lm knows" in text for text in open_ones), open_ones


def test_readme_or_docs_name_every_stage_command_and_variant():
    """Written by hand, that is: the pages that docs/generate.py writes name them anyway."""
    text = "\n".join(page.read_text() for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    missing = [name for name in STAGES if f"`{name}`" not in text]
    missing += [command for command in commands(parser()) if command not in text]
    missing += [path.stem for path in (ROOT / "variants").glob("*.yaml") if f"`{path.stem}`" not in text]
    assert not missing


def commands(command: ArgumentParser) -> list[str]:
    """`cantica check` and so on: what the command line offers that has no commands of its own."""
    nested = [action for action in command._actions if isinstance(action, _SubParsersAction)]
    return [name for action in nested for part in action.choices.values() for name in commands(part)] or [command.prog]


def test_importing_the_stages_loads_nothing_heavy():
    names = ", ".join(f"stages.{module_of(stage)}" for stage in STAGES.values())
    heavy = {"mlx", "mlx_lm", "transformers", "dvc", "scipy"}
    code = f"import sys, {names}, cantica.commands.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", [name for name, stage in STAGES.items() if templates_of(stage)])
def test_templates_show_params_that_their_stage_declares(name):
    """Also where a condition hides them from most builds."""
    stage, templates = STAGES[name], templates_of(STAGES[name])
    shown = {key for file in templates for key in re.findall(r"\bparams\.(?!yaml)(\w+(?:\.\w+)?)", file.read_text())}
    declared = [param.split("${")[0].removesuffix(".") for param in stage["params"]]
    assert [key for key in sorted(shown) if not any(f"{key}.".startswith(f"{param}.") for param in declared)] == []


@pytest.mark.parametrize("module", sorted({module_of(stage) for stage in STAGES.values()}))
def test_every_stage_explains_itself(module):
    done = subprocess.run([sys.executable, "-m", f"stages.{module}", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and f"python -m stages.{module}" in done.stdout


def test_versions_in_params_are_those_of_pyproject():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = [*project["dependencies"], *project["optional-dependencies"]["cpu"]]
    versions = dict(re.match(r"([a-z0-9.-]+)==([^;]+)", line).groups() for line in pinned if "[" not in line)
    toolchain = YAML(typ="safe").load((ROOT / "params.yaml").read_text())["toolchain"]
    assert toolchain["model"].pop("blas-core") == "Haswell"
    pins = [pin for group in toolchain.values() for pin in group.items()]
    assert len(pins) == len(dict(pins)), "each package is in one group"
    assert {package: versions[package].strip() for package, _ in pins} == dict(pins)


def test_types_are_consistent():
    done = subprocess.run([sys.executable, "-m", "mypy", "--no-error-summary"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
