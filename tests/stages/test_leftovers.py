"""Outputs that params.yaml no longer names are removed, whatever was built before, so that no later stage reads them."""

import json
import shutil
from pathlib import Path

import pytest

from cantica.commands.dvc.project import outputs_of_check
from cantica.commands.yaml_text import from_text, to_text
from tests.support.edits import REMOVALS, consequences, with_a_mix_and_a_judge
from tests.support.projects import commit, ok, run, stages_run


@pytest.fixture(scope="module")
def project(two_steps, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("leftovers") / "project"
    return with_a_mix_and_a_judge(Path(shutil.copytree(two_steps, folder, symlinks=True)))


@pytest.mark.parametrize("change", REMOVALS, ids=lambda change: change.name)
def test_a_removal_runs_what_it_must_and_nothing_else(project, change):
    assert consequences(project, change) == change.runs


def in_folders(project: Path) -> dict[str, list[str]]:
    """Of each folder that several stages write into, what lies there."""
    folders = [path.parent for path in project.rglob("_names.json") if ".dvc" not in path.parts]
    return {f.relative_to(project).as_posix(): sorted(p.name for p in f.iterdir() if p.name != "_names.json") for f in folders}


def test_a_build_after_removals_is_one_that_never_had_more(project, tmp_path):
    """Every kind of removal at once: folders hold what is named, another machine restores it, and so does the way back."""
    used = Path(shutil.copytree(project, tmp_path / "used", symlinks=True))
    everything = in_folders(used)
    params = from_text((used / "params.yaml").read_text())
    del params["categories"]["deception"], params["curriculum"]["deception"]
    params["mixes"], params["judges"], params["claims"] = {}, {}, {}
    params["arms"], params["fuse"]["step"] = (
        {"before": {"point": "base"}, "after": {"point": "self_preservation"}},
        "self_preservation",
    )
    (used / "params.yaml").write_text(to_text(params))
    ok(used, "dvc", "repro", "--quiet")
    commit(used, "Remove")
    of_arms, of_categories = ["after.jsonl", "before.jsonl"], ["self_preservation.jsonl"]
    assert in_folders(used) == {
        "data/categories": ["self_preservation.json"],
        "data/scenarios": of_categories,
        "data/train": of_categories,
        "data/valid": of_categories,
        "data/mixes": [],
        "data/samples": [],
        "data/sampling": [],
        "data/training": ["self_preservation.json"],
        "data/losses": ["base.json", "rest", "self_preservation.json"],
        "data/losses/rest": [],
        "data/responses": of_arms,
        "data/judgements": [*of_arms, "models"],
        "data/judgements/models": [],
        "data/probes": of_arms,
        "data/capability": of_arms,
        "models/adapters": ["base", "self_preservation"],
    }
    ok(used, "dvc", "remote", "add", "--quiet", "--default", "shared", str(tmp_path / "shared"))
    ok(used, "dvc", "push", "--quiet", "--run-cache")
    ok(tmp_path, "git", "clone", "--quiet", str(used), "clone")
    clone = tmp_path / "clone"
    ok(clone, "dvc", "remote", "add", "--quiet", "--default", "shared", str(tmp_path / "shared"))
    ok(clone, "dvc", "pull", "--quiet", "--run-cache")
    assert stages_run(clone) == set() and ok(clone, "git", "status", "--short") == " M .dvc/config\n"
    assert in_folders(clone) == in_folders(used)

    ok(used, "git", "checkout", "--quiet", "HEAD~1", "--", ".")
    # DVC's run cache has no stage whose outputs git keeps.
    assert stages_run(used) == {"check", "export"}
    assert in_folders(used) == everything and ok(used, "git", "diff", "HEAD~1", "--stat", "--", ":!.dvc/config") == ""


def test_what_check_will_write_is_known_before(two_steps, monkeypatch):
    monkeypatch.chdir(two_steps)
    outs = from_text(Path("dvc.lock").read_text())["stages"]["check"]["outs"]
    assert outputs_of_check() == {out["path"]: out["md5"] for out in outs}


def test_a_file_of_ones_own_in_such_a_folder_is_named_and_stays(two_steps, tmp_path):
    project = Path(shutil.copytree(two_steps, tmp_path / "project", symlinks=True))
    (project / "data/train/mine.jsonl").write_text("{}\n")
    params = project / "params.yaml"
    params.write_text(params.read_text() + "# edited\n")
    for command in (("dvc", "repro"), ("cantica", "check")):
        done = run(project, *command)
        assert done.returncode and "data/train/mine.jsonl\n    got       a file that no stage writes" in done.stderr
    assert (project / "data/train/mine.jsonl").exists()


def test_a_list_that_is_cut_is_named(two_steps, tmp_path):
    project = Path(shutil.copytree(two_steps, tmp_path / "project", symlinks=True))
    (project / "data/valid/_names.json").unlink()
    (project / "data/valid/_names.json").write_text('["dece')
    done = run(project, "dvc", "repro", "check")
    assert done.returncode and "data/valid/_names.json: line 1" in done.stderr
    assert json.loads((project / "data/train/_names.json").read_text()) == ["deception.jsonl", "self_preservation.jsonl"]
