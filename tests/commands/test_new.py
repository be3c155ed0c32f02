"""`cantica new`: what it writes is in order as it is, and the stages that read it accept it."""

import re
import shutil
from pathlib import Path

import pytest

from cantica.commands.new import KINDS
from tests.support.projects import ROOT, ok, refused, stages_run

JUDGE = "    judges: {my_judge: {kind: model, by: mlx, seed: 1, max_tokens: 8, attempts: 1, rubric: my_judge}}"


@pytest.fixture(scope="module")
def begun(smoke, tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """A project in which each kind was begun, and what was printed of each."""
    project = Path(shutil.copytree(smoke, tmp_path_factory.mktemp("new") / "project", symlinks=True))
    names = {kind: "my-experiment" if kind == "experiment" else f"my_{kind}" for kind in KINDS}
    return project, {kind: ok(project, "cantica", "new", kind, name) for kind, name in names.items()}


def test_it_names_the_files_that_it_wrote_and_what_to_do_next(begun):
    project, said = begun
    for kind, text in said.items():
        files, _, steps = text.partition("\n\n")
        assert all((project / file).is_file() for file in files.splitlines()) and steps.startswith("1. Rewrite "), kind
        written = "".join((project / file).read_text() for file in files.splitlines())
        assert not re.search(r"NAME|ITEM|LAST", text + written) and ("# " in written or "{#-" in written), kind


def test_all_kinds_are_in_order_as_they_are(begun):
    project, _ = begun
    listed = ok(project, "cantica", "variant", "list")
    assert "my_variant" in listed and "my-experiment" in listed and "broken" not in listed
    assert "do not fit" not in ok(project, "cantica", "check")


def test_stages_accept_them_once_params_name_them_as_it_says(begun, tmp_path):
    project = Path(shutil.copytree(begun[0], tmp_path / "project", symlinks=True))
    named = [
        line.strip() for kind in ("category", "behaviour") for line in begun[1][kind].splitlines() if line.startswith("     ")
    ]
    params = "\n".join(f"  {line}" for line in named)
    (project / "variants/named.yaml").write_text(f"tests: all of them\nparams:\n{params}\n{JUDGE[2:]}\n")
    assert "my_category" in ok(project, "cantica", "variant", "apply", "named")
    ok(project, "cantica", "check")
    assert {"render@my_category", "dataset@my_category", "held_out", "audit"} <= stages_run(project, "audit")


def test_the_experiment_passes_the_audit_too(begun, tmp_path):
    project = Path(shutil.copytree(begun[0], tmp_path / "project", symlinks=True))
    ok(project, "cantica", "variant", "apply", "my-experiment")
    assert {"render@my_experiment", "held_out", "audit"} <= stages_run(project, "audit")
    assert (project / "data/audit/findings.jsonl").read_text().count('"error"') == 0


@pytest.mark.parametrize(
    ("kind", "name", "got", "expected"),
    [
        ("category", "My-Idea", "'My-Idea'", "such as my_idea"),
        ("category", "mean", "'mean'", "no reserved word"),
        ("judge", "rules", "'rules'", "no reserved word"),
        ("experiment", "1st", "'1st'", "with a letter first"),
        ("variant", "../other", "'../other'", "such as other"),
        ("variant", "smoke", "there already", "a name that is not taken"),
        ("category", "betrayal", "there already", "a name that is not taken"),
        ("behaviour", "deployment", "there already", "a name that is not taken"),
        ("experiment", "lower-case", "prompts/categories/lower_case", "a name that is not taken"),
    ],
)
def test_a_name_that_is_malformed_or_taken_is_refused(tmp_path, kind, name, got, expected):
    for folder in ("prompts", "schemas", "variants"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    for file in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / file, tmp_path)
    said = refused(tmp_path, "cantica", "new", kind, name)
    assert got in said and expected in said
