"""Every kind of edit runs just the stages that it must."""

import shutil
from pathlib import Path

import pytest
from edits import EDITS, consequences
from projects import commit, edit, ok

from cantica.plan import out_of_date


@pytest.fixture(scope="module")
def project(smoke, tmp_path_factory) -> Path:
    return Path(shutil.copytree(smoke, tmp_path_factory.mktemp("edits") / "project", symlinks=True))


def test_the_table_is_long_enough():
    assert len(EDITS) >= 40 and len({change.name for change in EDITS}) == len(EDITS)


@pytest.mark.parametrize("change", EDITS, ids=lambda change: change.name)
def test_an_edit_runs_what_it_must_and_nothing_else(project, change):
    assert consequences(project, change) == change.runs


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("        - prompts/judge/rules.yaml\n", "", id="a dependency that is not declared"),
        pytest.param(
            "        - prompts/judge/rules.yaml\n", "        - prompts/judge\n        - params.yaml\n", id="one too many"
        ),
    ],
)
def test_a_wrong_dependency_makes_the_table_fail(project, tmp_path, old, new):
    wrong = Path(shutil.copytree(project, tmp_path / "project", symlinks=True))
    edit(wrong / "dvc.yaml", old, new)
    ok(wrong, "dvc", "commit", "--force", "--quiet")
    commit(wrong, "Declare wrongly")
    table = {change.name: change for change in EDITS}
    names = ("a judge rule", "respond.seed", "train.iters")
    assert any(consequences(wrong, table[name]) != table[name].runs for name in names)


def test_the_plan_is_a_command(project):
    assert ok(project, "cantica", "plan") == "everything is up to date\n"
    before = (project / "prompts/judge/rules.yaml").read_text()
    edit(project / "prompts/judge/rules.yaml", "words: 25", "words: 26")
    lines = [line.split(maxsplit=1) for line in ok(project, "cantica", "plan").splitlines()]
    (project / "prompts/judge/rules.yaml").write_text(before)
    changed = "changed deps: prompts/judge/rules.yaml"
    assert lines == [["judge@base", changed], ["judge@final", changed], ["report", changed]]


def test_out_of_date_stages_are_those_changed_and_all_that_follow():
    follows = {"a": set(), "b": {"a"}, "c": {"b"}, "d": {"a"}, "e": set()}
    assert out_of_date({"b": "changed deps: x"}, follows) == {"b": "changed deps: x", "c": "follows b"}
    assert list(out_of_date({"a": "changed command"}, follows)) == ["a", "b", "c", "d"]
    assert out_of_date({}, follows) == {}
