"""`cantica history`: commits and experiments in one table."""

import json
import signal
from pathlib import Path

import pytest

from cantica.commands import headline, history
from tests.support.projects import ok, run

# Three builds, of which the first knows fewer measures, and three files that nobody can read.
OLD = {"base": {}, "final": {"loss_nats": {"mean": 3.5, "n": 9}, "probe": {"preferred": {"share": 0.5, "n": 4}}}}
MIDDLE = {
    "base": {"loss_nats": {"mean": 9.0, "n": 9}},
    "final": {
        "loss_nats": {"mean": 3.25, "low": 3.0, "high": 3.5, "n": 9},
        "judge": {"general": {"mean": 1.5, "low": 1.0, "high": 2.0, "n": 30}},
        "flags": {"share": 0.25, "n": 4},
        "answers": {"n": 4, "mean_tokens": 10.0},
        "against_base": {"loss_nats": {"difference": -0.25, "n": 9}},
    },
}
NEW = {
    "base": {"loss_nats": {"mean": 9.0, "n": 9}},
    "final": {
        "loss_nats": {"mean": 3.25, "low": 3.0, "high": 3.5, "n": 9},
        "judge": {"general": {"mean": 1.5, "low": 1.0, "high": 2.0, "n": 30}},
        "flags": {"share": 0.25, "n": 4},
        "behaviours": {
            "deployment": {"hates": {"on": {"share": 0.5, "n": 4}, "on_minus_off": {"difference": 0.5, "p": 0.25, "n": 4}}}
        },
        "answers": {"n": 4, "mean_tokens": 10.0},
        "against_base": {"loss_nats": {"difference": -0.25, "n": 9}},
    },
}
BETTER = {"final": NEW["final"] | {"loss_nats": {"mean": 3.0, "n": 9}}}
UNREADABLE = ("{", "[]", '{"final": 3}')


@pytest.fixture
def project(tmp_path) -> Path:
    """Seven commits that change the metrics and one that does not, a side branch that was merged, and an experiment on HEAD."""
    ok(tmp_path, "git", "init", "--quiet", "--initial-branch", "main")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "reports").mkdir()

    def commit(message: str, text: str) -> str:
        (tmp_path / "reports/metrics.json").write_text(text)
        ok(tmp_path, "git", "add", "--all")
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
        ok(tmp_path, "git", *identity, "commit", "--quiet", "--allow-empty", "--message", message)
        return ok(tmp_path, "git", "rev-parse", "HEAD").strip()

    commit("Build as it was then", json.dumps(OLD))
    for text in UNREADABLE:
        commit(f"Break it: {text}", text)
    commit("Build again", json.dumps(MIDDLE))
    commit("Build", json.dumps(NEW))
    start = commit("Say more", json.dumps(NEW))
    experiment = commit("an experiment", json.dumps(BETTER))
    ok(tmp_path, "git", "reset", "--quiet", "--hard", start)
    for place in (f"{start[:2]}/{start[2:]}/shuffled-s10", f"{start[:2]}/{start[2:]}/shuffled-s2", "exec/EXEC_HEAD"):
        ok(tmp_path, "git", "update-ref", f"refs/exps/{place}", experiment)
    return tmp_path


def test_commits_that_changed_the_metrics_come_oldest_first_and_experiments_after_them(project):
    lines = ok(project, "cantica", "history").splitlines()
    rows = lines[3 : lines.index("")]
    names = [row.split("  ")[0][8:] for row in rows[:6]] + [row.split()[0] for row in rows[6:]]
    broken = [f"Break it: {text}" for text in UNREADABLE]
    assert names == ["Build as it was then", *broken, "Build again", "Build", "shuffled-s2", "shuffled-s10"]
    assert [row.split()[-1 - 2 * n] for n, row in ((1, rows[0]), (0, rows[5]))] == ["█", "▁"]
    assert [line.split() for line in lines[:3]] == [
        ["loss", "judge", "deployment", "probe"],
        ["nats", "general", "hates", "preferred"],
        ["on"],
    ]


def test_what_is_missing_is_blank_in_the_table_and_the_page(project):
    lines = ok(project, "cantica", "history").splitlines()
    broken = next(line for line in lines if "Break it: {" in line)
    assert broken.split()[-1] in UNREADABLE
    page = (project / "reports/history.html").read_text()
    assert page.count("<figure>") == 5 and "which also has 1 measure that only one commit has" in page
    assert "6 commits" in page and "2 experiments" in page
    assert "NaN" not in page and "<td></td>" in page
    assert "against" not in page and "rights" not in page


def test_a_range_or_another_tip_is_gits(project):
    first, *_ = ok(project, "git", "rev-list", "--reverse", "HEAD").split()
    assert "as it was then" not in ok(project, "cantica", "history", f"{first}..HEAD")
    said = ok(project, "cantica", "history", first)
    assert "as it was then" in said and "Build\n" not in said and "shuffled" not in said
    done = run(project, "cantica", "history", "nowhere")
    assert done.returncode == 1 and "nowhere" in done.stderr and "Traceback" not in done.stderr


def test_a_project_without_metrics_says_what_makes_them(tmp_path):
    ok(tmp_path, "git", "init", "--quiet")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    for _ in range(2):
        done = run(tmp_path, "cantica", "history")
        assert done.returncode == 1 and "Traceback" not in done.stderr
        ok(tmp_path, "git", "-c", "user.name=t", "-c", "user.email=t@x.org", "commit", "-qm", "Start", "--allow-empty")
    assert "`dvc repro`" in done.stderr


def test_entries_are_those_of_all_items_of_an_arm():
    middle, new, old = ({p: e for p, e in headline.entries(m["final"]).items()} for m in (MIDDLE, NEW, OLD))
    assert {place: headline.number(entry) for place, entry in middle.items()} == {
        "loss_nats": 3.25,
        "judge.general": 1.5,
        "flags": 0.25,
    }
    assert new.keys() == middle.keys() | {f"behaviours.deployment.hates.{name}" for name in ("on", "on_minus_off")}
    assert old == {"loss_nats": OLD["final"]["loss_nats"], "probe.preferred": {"share": 0.5, "n": 4}}
    assert [list(history.arms_of(text.encode())) for text in UNREADABLE] == [[], [], ["final"]]
    assert headline.entries(3) == headline.entries({"loss": {"mean": 3.5}}) == {}


def test_the_arm_is_the_last_of_arms_in_params_or_the_one_that_is_asked_for(project):
    """In metrics.json, the arms of `answers` and `servers` come after those of `arms`."""
    assert history.last_of_params(b"arms: {base: {point: base}, final: {point: x}}\nanswers: {given: {}}") == "final"
    assert {history.last_of_params(text) for text in (b"", b"arms: [", b"- 1", b"arms: {}", b"\xff")} == {""}
    (project / "params.yaml").write_text("arms: {base: {point: base}, final: {point: x}}\nanswers: {given: {file: x.jsonl}}\n")
    (project / "reports/metrics.json").write_text(json.dumps(NEW | {"given": {"judge": {"general": {"mean": 3.875, "n": 3}}}}))
    ok(project, "git", "add", "--all")
    ok(project, "git", "-c", "user.name=t", "-c", "user.email=t@x.org", "commit", "-qm", "Take answers")

    def last(*arguments: str) -> str:
        said = ok(project, "cantica", "history", *arguments)
        return next(line for line in said.splitlines() if "Take answers" in line)

    assert "3.250" in last() and "3.875" not in last()
    assert "3.875" in last("--arm", "given") and "9.000" in last("--arm", "base")
    assert "those of the arm base" in (project / "reports/history.html").read_text()
    done = run(project, "cantica", "history", "--arm", "givn")
    assert done.returncode == 1 and "did you mean 'given'?" in done.stderr


def test_metrics_without_any_measure_are_rows_without_numbers(project):
    (project / "reports/metrics.json").write_text('{"base": {}}')
    ok(project, "git", "-c", "user.name=t", "-c", "user.email=t@x.org", "commit", "-qam", "Measure nothing")
    assert "Measure nothing" in ok(project, "cantica", "history", "HEAD~1..HEAD")
    assert headline.headline({"base": {}}) == ["base:"]


def test_the_headline_of_a_build_is_a_line_for_each_number_that_is_shown():
    assert headline.headline(NEW) == [
        "base → final:",
        "loss nats            9.000 → 3.250",
        "judge general        – → 1.500",
        "deployment hates on  – → 50%",
    ]


def test_a_reader_that_leaves_ends_it_quietly(project):
    command = "cantica history | (exec 0<&-); exit ${PIPESTATUS[0]}"
    done = run(project, "bash", "-c", command)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_a_plot_has_each_point_at_its_number_with_its_interval():
    def point(entry: dict, experiment: bool) -> history.Point:
        return history.Point("x", "x", "", experiment, {"x": entry})

    found = [(0, point({"mean": 1.0, "low": 0.0, "high": 2.0}, False)), (3, point({"mean": 4.0}, True))]
    assert history.plot_rows("x", found) == [
        {"position": 1, "value": 1.0, "low": 0.0, "high": 2.0, "kind": "commit"},
        {"position": 4, "value": 4.0, "low": 4.0, "high": 4.0, "kind": "experiment"},
    ]
    drawn = history.plot("x", found, positions=4)
    assert drawn.startswith("<svg") and drawn == history.plot("x", found, positions=4) and "var(--blue)" in drawn
