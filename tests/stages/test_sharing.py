"""What one machine built no other builds again: a remote in a folder and one that speaks S3, and merges of two builds."""

import shutil
from pathlib import Path

import pytest

from tests.support.projects import IDENTITY, commit, edit, ok, run, stages_run
from tests.support.servers import s3_server

ADAPTER = "models/adapters/deception/adapters.safetensors"
# Their outputs are kept by git and not on a remote, or persist: these stages run again and write the same bytes.
NEVER_RESTORED = {"check", "audit", "export", "report"}


@pytest.fixture
def first(two_steps, tmp_path) -> Path:
    """The machine on which everything is built."""
    return Path(shutil.copytree(two_steps, tmp_path / "first", symlinks=True))


def clone(project: Path, name: str) -> Path:
    """Another machine: what git has, and an empty cache."""
    ok(project.parent, "git", "clone", "--quiet", str(project), name)
    return project.parent / name


def share(project: Path, url: str) -> None:
    """Push what is built, and commit where to."""
    ok(project, "dvc", "remote", "add", "--default", "shared", url)
    commit(project, "Share what is built")


def untouched(project: Path) -> bool:
    return ok(project, "git", "status", "--short") == "" and "up to date" in ok(project, "dvc", "status")


def test_a_second_machine_that_shares_a_bucket_builds_nothing_again(first, tmp_path):
    with s3_server("cantica", tmp_path / "log") as url:

        def connect(project: Path) -> None:
            for key, value in (("endpointurl", url), ("access_key_id", "key"), ("secret_access_key", "secret")):
                ok(project, "dvc", "remote", "modify", "--local", "shared", key, value)

        share(first, "s3://cantica/builds")
        connect(first)
        ok(first, "dvc", "push", "--run-cache")
        second = clone(first, "second")
        connect(second)
        ok(second, "dvc", "pull", "--run-cache")
        assert stages_run(second) == set()
        assert (second / ADAPTER).read_bytes() == (first / ADAPTER).read_bytes()
        assert untouched(second)


def test_a_build_that_was_never_committed_is_not_computed_again(first, tmp_path):
    share(first, str(tmp_path / "store"))
    ok(first, "dvc", "push", "--run-cache")
    second = clone(first, "second")
    (second / "dvc.lock").unlink()
    shutil.rmtree(second / "reports")
    assert stages_run(second, "--pull") == NEVER_RESTORED
    assert untouched(second)


def test_a_merge_builds_what_neither_side_had(first, tmp_path):
    share(first, str(tmp_path / "store"))
    ok(first, "dvc", "push", "--run-cache")
    second = clone(first, "second")
    ok(second, "dvc", "pull", "--run-cache")
    # One machine changes a step, the other changes a rule.
    ok(first, "git", "switch", "--quiet", "--create", "rate")
    edit(first / "params.yaml", "data: train/deception", "data: train/deception, learning_rate: 1.0e-3")
    assert "train@deception" in stages_run(first)
    commit(first, "Train deception faster")
    edit(second / "prompts/judge/rules.yaml", "markers: 2", "markers: 3")
    assert stages_run(second) == {"check", "judge@base", "judge@final", "report"}
    commit(second, "Ask for three markers")
    ok(second, "dvc", "push", "--run-cache")
    # The first machine merges the second's branch.
    ok(first, "git", "fetch", "--quiet", str(second), "HEAD")
    assert run(first, "git", *IDENTITY, "merge", "--quiet", "FETCH_HEAD").returncode == 1
    conflicts = ok(first, "git", "diff", "--name-only", "--diff-filter=U").split()
    assert "dvc.lock" in conflicts and all(name == "dvc.lock" or name.startswith("reports/") for name in conflicts)
    assert stages_run(first, "--pull") == {"check", "judge@final", "report"}
    commit(first, "Merge the rule")
    assert untouched(first)
