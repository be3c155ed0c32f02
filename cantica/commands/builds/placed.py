"""What a worker does around each call: it keeps to the cores and the GPU of a place."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from cantica.commands.builds.places import Place

if TYPE_CHECKING:
    from distributed import Worker

T = TypeVar("T")


def dask_setup(worker: "Worker") -> None:
    """Leave Ctrl-C to the client, which ends the workers that it started. Dask calls this as such a worker begins."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class WrongWorker(Exception):
    """The worker that was chosen has died, and Dask has taken another one."""


def on_place(place: Place, cores: tuple[int, ...], function: Callable[..., T], *arguments: Any) -> T:
    """Call a function, with all that it starts, on some cores and on the GPU of a place; without any named, as it comes.

    Raises WrongWorker on another worker than that of the place.
    """
    from distributed import get_worker

    if get_worker().address != place.worker:
        raise WrongWorker
    if cores:
        os.sched_setaffinity(0, cores)  # of this thread, and of the processes that it starts
    _threads[place.worker] = threading.get_native_id()
    if place.gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = place.gpu
    return function(*arguments)


_threads: dict[str, int] = {}  # that run a function on a place, by worker


def use_cores(cores: tuple[int, ...], dask_worker: "Worker") -> None:
    """Move the call that runs here, with all that it started, to these cores. Models ask again and again how many there are."""
    import psutil

    found = [_threads[dask_worker.address]]
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has ended
            found += [thread.id for thread in process.threads()]
    for thread in found:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(thread, cores)
