"""Every kind of edit runs just the stages that it must."""

import re
import shutil
from pathlib import Path

import pytest

from cantica.commands.plan import plan
from tests.support.edits import EDITS, consequences, out_of_date, state
from tests.support.projects import commit, edit, ok


@pytest.fixture(scope="module")
def project(two_steps, tmp_path_factory) -> Path:
    return Path(shutil.copytree(two_steps, tmp_path_factory.mktemp("edits") / "project", symlinks=True))


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
    names = ("a judge rule", "respond.temperature", "train.iters")
    assert any(consequences(wrong, table[name]) != table[name].runs for name in names)


@pytest.fixture(scope="module")
def untouched(two_steps, tmp_path_factory) -> Path:
    """A project in which no edit was built, so that DVC restores nothing of one."""
    return Path(shutil.copytree(two_steps, tmp_path_factory.mktemp("plan") / "project", symlinks=True))


def test_the_plan_is_a_command(untouched):
    assert ok(untouched, "cantica", "plan") == "everything is up to date\n"
    before = (untouched / "prompts/judge/rules.yaml").read_text()
    edit(untouched / "prompts/judge/rules.yaml", "words: 25", "words: 26")
    Path(untouched / ".cache/timings.jsonl").write_text('{"stage": "judge@x", "seconds": 61.2}\n{"stage": "re')
    *lines, blank, summary, parallel, at_most = ok(untouched, "cantica", "plan").splitlines()
    (untouched / "prompts/judge/rules.yaml").write_text(before)
    changed = "files: prompts/judge/rules.yaml"
    assert [line.split(maxsplit=1) for line in lines] == [
        ["check", changed],
        ["judge@base", changed],
        ["judge@final", changed],
        ["report", changed],
    ]
    assert summary == "4 stages to run, 2 min 2 s by earlier timings, without 2 stages that never ran here" and not blank
    chain = "no less than 1 min 1 s, for judge@base → report"
    assert parallel == f"with several workers: 1 min 1 s with 2, 1 min 1 s with 4; {chain}"
    assert at_most == "at most: if a stage writes the same output as before, the stages after it do not run"


@pytest.mark.parametrize("name", ["train.iters", "a training template", "which step an arm is", "comment in stages/base.py"])
def test_the_plan_is_what_dvc_finds_and_what_follows_it(untouched, monkeypatch, name):
    (change,) = (change for change in EDITS if change.name.endswith(name))
    monkeypatch.chdir(untouched)
    file = Path(change.file)
    before = file.read_text()
    file.write_text(re.sub(change.old, change.new, before, count=1))
    planned, (changed, follows) = {stage for stage, own in plan().forecasts.items() if own.action == "runs"}, state(untouched)
    file.write_text(before)
    # The forecast for `check`: after each of these edits it writes the same as before.
    assert planned == out_of_date(changed - {"check"}, follows) | changed


def test_the_plan_knows_what_dvc_restores(untouched, monkeypatch):
    monkeypatch.chdir(untouched)
    shutil.rmtree("models/adapters/deception")
    for answers in Path("data/responses").glob("*.jsonl"):
        answers.unlink()
    missing = plan().forecasts
    ok(untouched, "dvc", "checkout", "--quiet")
    assert {name for name, own in missing.items() if own.action == "restored"} == {
        "train@deception",
        "respond@base",
        "respond@final",
    }
    assert {own.action for own in missing.values()} == {"up to date", "restored"}


def test_out_of_date_stages_are_those_changed_and_all_that_follow():
    follows = {"a": set(), "b": {"a"}, "c": {"b"}, "d": {"a"}, "e": set()}
    assert out_of_date({"b"}, follows) == {"b", "c"}
    assert out_of_date({"a"}, follows) == {"a", "b", "c", "d"}
    assert out_of_date(set(), follows) == set()
