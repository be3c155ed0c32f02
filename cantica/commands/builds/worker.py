"""What a worker does: run one stage with DVC, in a copy of the project that it keeps for the stages of the same build."""

import contextlib
import fcntl
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from cantica.commands.builds.copy import Copy, copy_of, sweep
from cantica.commands.builds.offers import Offer, differences, own_offer
from cantica.commands.builds.places import Place
from cantica.commands.dvc.copies import SCRATCH
from cantica.commands.dvc.logs import read_log, stages_run
from cantica.commands.dvc.records import Entry, Lock, outputs
from cantica.commands.dvc.remote import Remote, RemoteFault
from cantica.commands.timings import read_timings
from cantica.core.command import TIMINGS

LOGS = Path(".cache/stages")  # of stages that run
TOPIC = "cantica"  # of what a stage on another machine prints: {"log": its file, "text": …}
TELL = 1  # seconds after which that is sent
ONE = threading.Lock()  # the threads of a process share the current folder and the streams: one stage at a time
T = TypeVar("T")


@dataclass(frozen=True)
class Order:
    """One stage to run. key: of its run in DVC's run cache. makers: the records of the stages that made what it reads."""

    stage: str
    key: str
    makers: Lock

    @property
    def log(self) -> Path:
        """Where a worker of this machine writes what the stage prints, while it runs; afterwards too if it failed."""
        return LOGS / f"{self.stage}-{self.key[:8]}.log"


@dataclass(frozen=True)
class Done:
    """What became of an order: the stage's record, what it printed, whether it ran or was restored, where and how long.

    timing: its record in the timings of the worker's folder, None if it was restored.
    """

    entry: Entry
    log: str
    ran: bool
    where: str
    seconds: float
    timing: dict[str, Any] | None


class StageFailed(Exception):
    """A stage failed. The text is what it printed."""


def run_stage(order: Order, tree: bytes, shared: bool) -> Done:
    """Run a stage of a project, whose files are given as a tar archive. Raises StageFailed.

    Inputs that other stages made come from the DVC cache of the project in the worker's folder, and outputs go there. shared:
    that project has a remote in common with others, which inputs come from and outputs go to.
    """
    with ONE:
        begin, root = time.monotonic(), Path.cwd()
        log = root / order.log
        log.unlink(missing_ok=True)
        sweep()
        with printed_to(log), told(log) if shared else contextlib.nullcontext():
            entry = _run(order, copy_of(tree), root, remote_of(root) if shared else None)
        text = read_log(log)
        log.unlink()
        ran = order.stage in stages_run(text)
        timings = reversed(read_timings(root / TIMINGS)) if ran else []
        timing = next((own for own in timings if own["stage"] == order.stage), None)
        return Done(entry, text, ran, f"{os.uname().nodename}:{os.getpid()}", time.monotonic() - begin, timing)


def _run(order: Order, copy: Copy, root: Path, remote: Remote | None) -> Entry:
    """Run a stage in a copy and return its record. What it prints goes to its log. Raises StageFailed."""
    from dvc.exceptions import DvcException

    try:
        with contextlib.chdir(copy.folder):
            if remote:
                remote.pull(copy.hashes(order.stage, order.makers))
                remote.pull_run(order.key)  # of another client, whose workers ran it
            copy.fetch(order.stage, order.makers)
            copy.run(order.stage, committing(root))
            entry = copy.entry(order.stage)
            if remote:
                remote.push(outputs(entry).values())
                remote.push_run(order.key)
            return entry
    except (DvcException, RemoteFault, OSError) as error:
        print(error, flush=True)
        raise StageFailed(read_log(root / order.log)) from None


def receive(order: Order, result: Done | Exception) -> None:
    """Keep here what a stage left elsewhere: its timing, and, if it failed, its log."""
    if isinstance(result, Done):
        order.log.unlink(missing_ok=True)
        if result.timing:
            with TIMINGS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(result.timing) + "\n")
    else:
        order.log.parent.mkdir(parents=True, exist_ok=True)
        order.log.write_text(str(result), encoding="utf-8")


@cache
def remote_of(root: Path) -> Remote:
    """The remote of the project in a folder, which remembers what it has."""
    return Remote(root)


class WrongWorker(Exception):
    """Dask chose a worker that cannot be used, as it may when the one that was chosen has died."""


def on_place(place: Place, like: Offer, function: Callable[..., T], *arguments: Any) -> T:
    """Call a function, with all that it starts, on the cores and the GPU of a place; without any named, as it comes.

    like: the offer of the worker that was chosen. Raises WrongWorker if this one differs in what results depend on.
    """
    own = own_offer()
    if own.device != like.device or differences(like, own):
        raise WrongWorker
    if place.cores:
        # Of this thread, and of the processes that it starts. This machine may have others than the one that was chosen.
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, place.cores)
    if place.gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = place.gpu
    return function(*arguments)


def in_folder(folder: Path, log: Path, function: Callable[..., T], *arguments: Any) -> T:
    """Call a function of DVC in a folder, what it prints appended to a log. Raises StageFailed."""
    from dvc.exceptions import DvcException

    with ONE, printed_to(log), contextlib.chdir(folder):
        try:
            return function(*arguments)
        except DvcException as error:
            print(error, flush=True)
            raise StageFailed(read_log(log)) from None


@contextlib.contextmanager
def committing(root: Path) -> Iterator[None]:
    """Put outputs into the cache one stage at a time.

    Different stages may produce the same file, and DVC writes it in place if the file system cannot clone files.
    """
    folder = root / SCRATCH
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "commit.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def printed_to(log: Path) -> Iterator[None]:
    """Append what this process and its children print to a log, DVC's own messages too."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        kept = [(stream, os.dup(stream)) for stream in (1, 2)]
        _flush()
        for stream, _ in kept:
            os.dup2(file.fileno(), stream)
        try:
            yield
        finally:
            _flush()
            for stream, own in kept:
                os.dup2(own, stream)
                os.close(own)


@contextlib.contextmanager
def told(log: Path) -> Iterator[None]:
    """Send what is written to a log to the clients of the scheduler, while it is written."""
    from distributed import get_worker

    worker, over = get_worker(), threading.Event()

    def follow() -> None:
        with log.open(encoding="utf-8", errors="replace") as file:
            while True:
                last = over.wait(TELL)
                if text := file.read():
                    worker.log_event(TOPIC, {"log": log.name, "text": text})
                if last:
                    return

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
