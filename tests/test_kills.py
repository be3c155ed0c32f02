"""The smoke build, killed at moments that a seed decides, ends as if nothing had happened.

CANTICA_KILLS sets how often, CANTICA_KILL_SEED the seed.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

from projects import ENVIRONMENT, clone, ok, overlay, stages_run

from cantica.inputs import mend_locks

KILLS = int(os.environ.get("CANTICA_KILLS", 30))
SEED = int(os.environ.get("CANTICA_KILL_SEED", 20261121))


def test_kills_change_nothing(smoke, tmp_path):
    print(f"CANTICA_KILL_SEED={SEED}")
    project = clone(tmp_path / "project")
    overlay(project, "smoke")
    draw = random.Random(SEED)
    for _ in range(KILLS):
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
        mend_locks(project)
    finished = trained(project)
    again = stages_run(project)
    assert not finished & again, "a step that was finished is not run again"
    assert (project / "dvc.lock").read_text() == (smoke / "dvc.lock").read_text()
    assert not list(project.glob("*/**/.*.partial"))


def trained(project: Path) -> set[str]:
    """The steps that DVC has on record."""
    from ruamel.yaml import YAML

    lock = project / "dvc.lock"
    stages = (YAML(typ="safe").load(lock.read_text()) or {}).get("stages", {}) if lock.exists() else {}
    return {name for name in stages if name.startswith("train@")}


def test_a_lock_that_was_cut_is_set_aside_and_all_is_restored(two_steps, tmp_path):
    project = Path(shutil.copytree(two_steps, tmp_path / "project", symlinks=True))
    lock = project / "dvc.lock"
    whole = lock.read_text()
    assert mend_locks(project) == [] and lock.read_text() == whole
    for cut in ("", whole[: len(whole) * 4 // 5].rstrip()):
        lock.write_text(cut)
        assert "removed dvc.lock" in ok(project, "cantica", "check")
        assert not {name for name in stages_run(project) if name.startswith(("train", "respond", "measure"))}
        assert lock.read_text() == whole
