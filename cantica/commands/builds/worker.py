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
from cantica.commands.dvc.cache import cache_folder, run_of
from cantica.commands.dvc.copies import SCRATCH
from cantica.commands.dvc.logs import read_log, stages_run
from cantica.commands.dvc.project import reason
from cantica.commands.dvc.records import Entry, Lock, outputs
from cantica.commands.dvc.remote import Remote, RemoteFault
from cantica.commands.timings import read_timings
from cantica.core.command import TIMINGS

LOGS = Path(".cache/stages")  # of stages that run
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
    def name(self) -> str:
        """Its name for Dask."""
        return f"{self.stage}-{self.key}"

    @property
    def log(self) -> Path:
        """Where what the stage prints stands while it runs; afterwards too if it failed."""
        return LOGS / f"{self.stage}-{self.key[:8]}.log"


@dataclass(frozen=True)
class Done:
    """What became of an order: the stage's record, what it printed, whether it ran or was restored, and for how long.

    timing: its record in the timings of the worker's folder, None if it was restored.
    """

    entry: Entry
    log: str
    ran: bool
    seconds: float
    timing: dict[str, Any] | None


class StageFailed(Exception):
    """A stage failed. The text is what it printed."""


def run_stage(order: Order, tree: bytes, topic: str) -> Done:
    """Run a stage of a project, whose files are given as a tar archive. Raises StageFailed.

    Inputs that other stages made come from the DVC cache of the project in the worker's folder, and outputs go there. topic:
    under which the client listens to what the stage prints, if workers have folders of their own; then inputs come from a
    remote that they have in common, and outputs go there. Else it is "", and the client reads the log.
    """
    with ONE:
        begin, root = time.monotonic(), Path.cwd()
        sweep()
        copy = copy_of(tree)
        log = copy.folder.parent / order.log.name if topic else root / order.log
        log.unlink(missing_ok=True)
        with printed_to(log), told(log, topic) if topic else contextlib.nullcontext():
            entry = _run(order, copy, log, root, remote_of(root) if topic else None)
        text = read_log(log)
        log.unlink()
        ran = order.stage in stages_run(text)
        timings = reversed(read_timings(root / TIMINGS)) if ran else []
        timing = next((own for own in timings if own["stage"] == order.stage), None)
        return Done(entry, text, ran, time.monotonic() - begin, timing)


def _run(order: Order, copy: Copy, log: Path, root: Path, remote: Remote | None) -> Entry:
    """Run a stage in a copy and return its record. What it prints goes to its log. Raises StageFailed."""
    from dvc.exceptions import DvcException

    try:
        with contextlib.chdir(copy.folder):
            if remote:
                remote.pull({md5 for entry in order.makers.values() for md5 in outputs(entry).values()})
                if remote.pull_run(order.key):  # another client's worker ran it
                    with contextlib.suppress(RemoteFault):  # what it made is not there any more
                        remote.pull(outputs(run_of(cache_folder(), order.key) or {}).values())
            copy.fetch(order.makers)
            copy.run(order.stage, committing(root))
            entry = copy.entry(order.stage)
            if remote:
                remote.push(outputs(entry).values())
                remote.push_run(order.key)
            return entry
    except (DvcException, RemoteFault, OSError) as error:
        print(reason(error), flush=True)
        raise StageFailed(read_log(log)) from None


def receive(order: Order, result: Done | Exception) -> None:
    """Keep here what a stage left elsewhere: its timing, and, if it failed, its log."""
    if isinstance(result, Done):
        order.log.unlink(missing_ok=True)
        if result.timing and result.timing not in read_timings():  # else the worker shares this folder
            TIMINGS.parent.mkdir(exist_ok=True)
            with TIMINGS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(result.timing) + "\n")
    else:
        order.log.parent.mkdir(parents=True, exist_ok=True)
        order.log.write_text(str(result), encoding="utf-8")


@cache
def remote_of(root: Path) -> Remote:
    """The remote of the project in a folder, which remembers what it has."""
    return Remote(root)


def in_folder(folder: Path, log: Path, function: Callable[..., T], *arguments: Any) -> T:
    """Call a function of DVC in a folder, what it prints appended to a log. Raises StageFailed."""
    from dvc.exceptions import DvcException

    with ONE, printed_to(log), contextlib.chdir(folder):
        try:
            return function(*arguments)
        except DvcException as error:
            print(reason(error), flush=True)
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
def told(log: Path, topic: str) -> Iterator[None]:
    """Send what is written to a log to a client, while it is written: {"log": its name, "text": …}."""
    from distributed import get_worker

    worker, over = get_worker(), threading.Event()

    def follow() -> None:
        with log.open(encoding="utf-8", errors="replace") as file:
            while True:
                last = over.wait(TELL)
                if text := file.read():
                    worker.log_event(topic, {"log": log.name, "text": text})
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
