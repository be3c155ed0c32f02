"""Gates and bounds that are older than the first run, or not: histories of a few commits, read also from a shallow clone."""

import json
import subprocess
from pathlib import Path

import pytest

from cantica.commands.experiments.tuning import Moment, together, tuning_of
from cantica.commands.variants.past import overlaid_at
from cantica.core.documents import read_yaml
from cantica.core.errors import InputError
from tests.support.projects import ENVIRONMENT

CLAIM = "claims: {less: {says: %s, measure: loss_nats, arm: final, below: %s}}"


class History:
    """A repository whose commits are a day apart."""

    def __init__(self, folder: Path):
        self.folder, self.day = folder, 0
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch", "main")

    def git(self, *arguments: str) -> str:
        when = f"2026-01-{max(self.day, 1):02}T12:00:00Z"
        dates = {"GIT_COMMITTER_DATE": when, "GIT_AUTHOR_DATE": when}
        names = ("-c", "user.name=test", "-c", "user.email=test@example.org")
        command = ["git", *names, *arguments]
        done = subprocess.run(command, cwd=self.folder, env=ENVIRONMENT | dates, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, **files: str | None) -> str:
        """A commit with other files: `variants__a` is variants/a.yaml, `params` is params.yaml; None removes one."""
        for name, text in files.items():
            path = self.folder / (name.replace("__", "/") + ("" if "." in name else ".yaml"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text) if text is not None else path.unlink()
        self.day += 1
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", f"Day {self.day}")
        return self.git("rev-parse", "HEAD")

    def run(self, name: str, **files: str) -> str:
        """An experiment on HEAD."""
        start = self.git("rev-parse", "HEAD")
        made = self.commit(**files)
        self.git("update-ref", f"refs/exps/{start[:2]}/{start[2:]}/{name}", made)
        self.git("reset", "--quiet", "--hard", start)
        return made


def variant(bound: float, says: str = "less", over: str = "") -> str:
    return f"tests: it\n{f'over: [{over}]' if over else ''}\nparams: {{{CLAIM % (says, bound)}}}\n"


@pytest.fixture
def history(tmp_path, monkeypatch) -> History:
    made = History(tmp_path / "project")
    monkeypatch.chdir(made.folder)
    made.commit(params="claims: {}\nx: 1\n")
    return made


def laid(name: str) -> dict:
    return overlaid_at("HEAD", name)


def of(commit: str, name: str, seed: str):
    return tuning_of(commit, name, seed, laid(name))


def test_bounds_that_were_there_before_the_first_run_are_honest(history):
    fixed = history.commit(variants__a=variant(1))
    history.commit(variants__a=variant(1, says="fewer"), variants__other=variant(3), params="claims: {}\nx: 2\n")
    base = history.git("rev-parse", "HEAD")
    found = of(history.run("a-s1", params=CLAIM % ("fewer", 1)), "a", "1")
    assert found == ((fixed, "2026-01-02T12:00:00Z"), (base, "2026-01-04T12:00:00Z"), False)
    assert found.honest


def test_bounds_that_were_changed_after_a_run_are_not(history):
    history.commit(variants__a=variant(1))
    first = history.git("rev-parse", "HEAD")
    history.run("a-s1", params=CLAIM % ("less", 1))
    history.commit()
    changed = history.commit(variants__a=variant(0.5))
    again, new_seed = (history.run(name, params=CLAIM % ("less", 0.5)) for name in ("a-s1", "a-s2"))
    found, other = of(again, "a", "1"), of(new_seed, "a", "2")
    assert found.since.commit == changed and found.first == Moment(first, "2026-01-03T12:00:00Z") and not found.honest
    assert other.first.commit == changed and other.honest
    assert not together([other, found]).honest


def test_a_bound_that_comes_through_another_variant_or_params_counts(history):
    history.commit(params="claims: {gate: {says: it, gate: true, measure: loss_nats, arm: final, below: 3}}\n")
    history.commit(variants__a="tests: it\nover: [b]\n", variants__b=variant(1))
    fixed = history.commit(params="claims: {gate: {says: it, gate: true, measure: loss_nats, arm: final, below: 2}}\n")
    assert of(history.run("a-s1", params="claims: {}"), "a", "1").since.commit == fixed
    fixed = history.commit(variants__b=variant(0.9))
    assert of(history.run("a-s1", params="claims: {}"), "a", "1").since.commit == fixed
    history.commit(variants__c=variant(0.9), variants__b=None, variants__a="tests: it\nover: [c]\n")
    assert of(history.run("a-s1", params="claims: {}"), "a", "1").since.commit == fixed  # the file has another name only
    history.commit(variants__d="tests: it\nover: [c]\n", variants__a=None)
    found = of(history.run("d-s1", params="claims: {}"), "d", "1")
    assert found.since.commit == history.git("rev-parse", "HEAD")


def test_forms_of_earlier_versions_end_the_search(history):
    for text in ("no: [mapping", "- a list\n", "x: 1\n"):
        history.commit(params=text, variants__a="tests: it\nremove: [y]\n")
    with pytest.raises(InputError):
        overlaid_at("HEAD", "a")
    with pytest.raises(InputError):
        overlaid_at("HEAD", "none")
    fixed = history.commit(params="claims: {}\n", variants__a=variant(1))
    assert of(history.run("a-s1", params="claims: {}"), "a", "1").since.commit == fixed


def test_runs_that_were_cited_count_where_no_experiment_is_left(history, tmp_path):
    base = history.commit(variants__a=variant(1))
    run = {"commit": base, "built": "2026-01-05T12:00:00Z", "first_run": {"commit": "x", "date": "2026-01-04T12:00:00Z"}}
    history.commit(**{"docs__experiments__runs__a__1__run.json": json.dumps(run)})
    history.commit(**{"docs__experiments__runs__a__1__run.json": "{}"})
    history.commit(**{"docs__experiments__runs__a__1__run.json": None})
    made = history.run("a-s1", params=CLAIM % ("less", 1))
    assert of(made, "a", "1").first == Moment("x", "2026-01-04T12:00:00Z")


def test_a_shallow_clone_says_so(history, tmp_path, monkeypatch):
    history.commit(variants__a=variant(1))
    history.commit()
    last = history.commit(params=read_text_of_params() + "# edited\n")
    history.git("clone", "--quiet", "--depth", "1", f"file://{history.folder}", str(tmp_path / "shallow"))
    monkeypatch.chdir(tmp_path / "shallow")
    found = of(last, "a", "1")
    assert found.shallow and found.since.commit == last


def test_a_run_whose_parent_a_shallow_clone_lacks_counts_by_its_own_commit(history, tmp_path, monkeypatch):
    history.commit(variants__a=variant(1))
    run = history.run("a-s1", params=CLAIM % ("less", 1))
    history.git("branch", "variant/a-s1", run)
    place = ("--branch", "variant/a-s1", f"file://{history.folder}", str(tmp_path / "shallow"))
    history.git("clone", "--quiet", "--depth", "1", *place)
    monkeypatch.chdir(tmp_path / "shallow")
    assert of(run, "a", "1").first.commit == run


def read_text_of_params() -> str:
    return Path("params.yaml").read_text()


def test_a_commit_that_brings_claims_and_numbers_together_shows_nothing(history):
    numbers = json.dumps({"less": {"mean": 1.0}})
    both = history.commit(params=CLAIM % ("less", 1), **{"reports__claims.json": numbers})
    found = tuning_of(both, "", "", read_yaml(Path("params.yaml")))
    assert found.since.commit == found.first.commit == both and not found.honest
    history.commit(**{"reports__claims.json": json.dumps({"less": {"mean": 2.0}})})
    assert tuning_of("HEAD", "", "", read_yaml(Path("params.yaml"))).first.commit == both
