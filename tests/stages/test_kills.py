"""A build, killed at random moments (seeded), gives the same bytes as one that another user built without interruption.

CANTICA_KILLS sets how often, CANTICA_KILL_SEED the seed.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cantica.commands.dvc.mend import mend
from tests.support.kills import KILLS, SEED
from tests.support.projects import ENVIRONMENT, clone, ok, overlay, stages_run


@pytest.mark.parametrize("variants", [["smoke"], ["smoke", "branches"]], ids="-".join)
def test_neither_kills_nor_user_locale_time_zone_and_load_change_a_byte(variants, tmp_path, request):
    print(f"CANTICA_KILL_SEED={SEED}")
    uninterrupted = request.getfixturevalue(variants[-1])
    project = clone(tmp_path / "project")
    overlay(project, *variants)
    draw = random.Random(SEED)
    for _ in range(KILLS // len(variants)):
        build = subprocess.Popen(
            ["dvc", "repro"],
            cwd=project,
            env=ENVIRONMENT | {"CANTICA_CHECKPOINT_SECONDS": "0"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(draw.uniform(0.3, 3.2))
        os.killpg(build.pid, signal.SIGKILL)
        build.wait()
        mend(project)
    finished = trained(project)
    again = stages_run(project)
    assert not finished & again, "a step that was finished is not run again"
    assert (project / "dvc.lock").read_text() == (uninterrupted / "dvc.lock").read_text()
    for name in ("metrics.json", "details.json", "report.html", "model_card.md", "loss_curve.csv", "loss_matrix.csv"):
        assert (project / "reports" / name).read_bytes() == (uninterrupted / "reports" / name).read_bytes()
    assert not list(project.glob("*/**/.*.partial"))


def trained(project: Path) -> set[str]:
    """The steps that DVC has on record."""
    from ruamel.yaml import YAML

    lock = project / "dvc.lock"
    stages = (YAML(typ="safe").load(lock.read_text()) or {}).get("stages", {}) if lock.exists() else {}
    return {name for name in stages if name.startswith("train@")}


def test_what_dvc_had_half_written_is_removed_and_all_else_restored(two_steps, tmp_path):
    project = Path(shutil.copytree(two_steps, tmp_path / "project", symlinks=True))
    lock = project / "dvc.lock"
    whole = lock.read_text()
    runs = (project / ".dvc/cache/runs").glob("*/*/*")
    [entry] = [entry for entry in runs if "stages.dataset deception" in entry.read_text()]
    assert mend(project) == [] and lock.read_text() == whole
    (project / "data/valid/.5NRcmfuifX9hp6skiVY4nA.tmp").touch()
    for cut in ("", whole[: len(whole) * 4 // 5].rstrip()):
        lock.write_text(cut)
        # Killed before the entry was moved, and while it was written; an empty folder of entries makes DVC fail.
        entry.write_text(cut[:100]) if cut else entry.unlink()
        told = ok(project, "cantica", "check")
        assert "removed dvc.lock" in told and f"removed {entry.parent.relative_to(project)}" in told
        # DVC never restores these three.
        assert stages_run(project) - {"check", "export", "report"} == {"dataset@deception"}
        assert lock.read_text() == whole
