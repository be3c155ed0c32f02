"""The Dask cluster of this machine that stages run on."""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cantica.commands.dvc.copies import SCRATCH
from cantica.commands.timings import largest, read_timings

if TYPE_CHECKING:
    from distributed import Client

# A worker that is killed does not count against the stage that it ran, unless that happens again and again.
SETTINGS = {"distributed.scheduler.allowed-failures": 5, "distributed.admin.tick.limit": "1h"}


@contextlib.contextmanager
def local_cluster(jobs: int) -> Iterator["Client"]:
    """A cluster of `jobs` processes, which run in the current folder's project. They end with this process."""
    import dask
    from distributed import Client, LocalCluster

    _sweep()
    folder = SCRATCH.resolve()
    try:
        with (
            dask.config.set(SETTINGS),
            LocalCluster(
                n_workers=jobs,
                threads_per_worker=1,
                memory_limit=0,  # of the worker alone, without the stages
                dashboard_address=None,
                local_directory=str(folder),
                silence_logs="CRITICAL",
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
    finally:
        _sweep()


def share(job: int, jobs: int) -> tuple[int, ...]:
    """The processor's cores of one of several jobs. Where there are more jobs than cores, several have the same one."""
    if not hasattr(os, "sched_getaffinity"):
        return ()
    cores = sorted(os.sched_getaffinity(0))
    return tuple(cores[job % len(cores) :: jobs]) if jobs < len(cores) else (cores[job % len(cores)],)


def at_once(jobs: int) -> int:
    """How many of `jobs` stages fit into the free memory, by the largest stage that ever ran here; at least 1."""
    import psutil

    peak = largest(read_timings())
    return max(1, min(jobs, psutil.virtual_memory().available // (peak << 20))) if peak else jobs


def _sweep() -> None:
    """Remove the copies of workers that were killed."""
    import psutil

    for folder in SCRATCH.glob("worker-*"):
        if (pid := re.match(r"worker-(\d+)-", folder.name)) and not psutil.pid_exists(int(pid[1])):
            shutil.rmtree(folder, ignore_errors=True)
