"""The cores of a machine go to what runs there, also while it runs."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cantica.commands.builds.cluster import clusters
from cantica.commands.builds.engine import Engine, Task

WAIT = 300  # s, on a busy machine


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def first(folder: Path, cores: set[int]) -> set[int]:
    """Wait until a child process has all cores, and return those that it had while the other function ran."""
    child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({WAIT})"])
    try:
        until((folder / "second").exists)
        until(lambda: os.sched_getaffinity(child.pid) < cores)
        had = os.sched_getaffinity(child.pid)
        (folder / "seen").touch()
        until(lambda: os.sched_getaffinity(child.pid) == os.sched_getaffinity(0) == cores)
        return had
    finally:
        child.kill()


def second(folder: Path) -> set[int]:
    """Return the cores of this thread, once the first function has seen its own."""
    (folder / "second").touch()
    until((folder / "seen").exists)
    return os.sched_getaffinity(0)


CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


@pytest.mark.skipif(len(CORES) < 2, reason="one core is not shared, and not every system binds processes to cores")
def test_a_process_gets_the_cores_of_one_that_ends(tmp_path, monkeypatch):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.chdir(tmp_path)
    had = {}
    with clusters(2, "", print) as (cluster, here):
        engine = Engine(cluster, here, None)

        def then(name: str) -> Callable:
            return lambda result: had.update({name: result})

        engine.add(Task("first", first, lambda cluster: (tmp_path, CORES), then("first"), (0,)))
        engine.add(Task("second", second, lambda cluster: (tmp_path,), then("second"), (1,)))
        engine.run()
    assert had["first"] | had["second"] == CORES and not had["first"] & had["second"]
