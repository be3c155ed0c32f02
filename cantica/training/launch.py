"""Run a step as several processes, each on its part of every batch: `train.launch` in params.yaml, mlx.launch underneath.

With R processes an update sees the records that one process would see: of each batch, process r takes every R-th record from
the r-th on. The trainer averages losses and gradients over processes, whatever number of tokens each has, so every process
weights its own by R times its share of the batch's tokens: the average is then the mean over all tokens of the batch.
"""

import fcntl
import os
import socket
import sys
import threading
from collections import Counter
from importlib.metadata import entry_points
from pathlib import Path

from cantica.core.documents import read_json
from cantica.core.errors import InputError, Problem

PORT = 32323  # where mlx.launch begins
LOCK = Path(".cache/launch.lock")


def is_worker() -> bool:
    """Whether mlx.launch started this process."""
    return "MLX_RANK" in os.environ


def launch(settings: dict, last: Path) -> None:
    """Run this process's own command under mlx.launch until all its processes have ended.

    `last` is what the first of them writes last, and on this machine. Raises InputError when the hostfile does not fit, and
    ends this process when `last` is not there: mlx.launch itself reports no failure.
    """
    processes, hostfile = settings["processes"], settings.get("hostfile")
    hosts = _hosts(Path(hostfile), processes) if hostfile else ["127.0.0.1"] * processes
    # On CUDA, mlx.launch gives each process of a machine a GPU by this number.
    where = ["--repeat-hosts", str(max(Counter(hosts).values())), *(["--hostfile", hostfile] if hostfile else [])]
    command = [sys.executable, *sys.orig_argv[1:]]
    # One such step at a time: two would take the same ports and GPUs. The lock goes with this process.
    LOCK.parent.mkdir(exist_ok=True)
    fcntl.flock(os.open(LOCK, os.O_CREAT | os.O_WRONLY), fcntl.LOCK_EX)
    # It runs here and not as a child: its workers end with the process that started them, and this one ends with DVC.
    sys.argv = ["mlx.launch", *where, "--starting-port", str(_free_port(processes)), "--", *command]
    # It hands its input to the workers, and would read the end of an empty one again and again.
    source, feed = os.pipe()
    os.dup2(source, 0)
    if not hostfile:
        # It would also find, again and again, that it may write to a worker here, until the pipe is full: a core's work.
        threading.Thread(target=os.write, args=(feed, bytes(1 << 21)), daemon=True).start()
    last.unlink(missing_ok=True)
    (script,) = entry_points(group="console_scripts", name="mlx.launch")
    script.load()()
    if not last.exists():
        sys.exit("the step failed in a process of mlx.launch, or the first of them, which writes, is not on this machine")


def _hosts(hostfile: Path, processes: int) -> list[str]:
    """The host of each process. Raises InputError where the hostfile has another number of them."""
    document = read_json(hostfile)
    try:
        hosts = [host["ssh"] for host in (document["hosts"] if isinstance(document, dict) else document)]
    except (KeyError, TypeError):
        expected = 'a hostfile of mlx.launch: {"hosts": [{"ssh": …, "ips": […]}, …]}'
        raise InputError(Problem(str(hostfile), "", "no list of hosts, each with `ssh`", expected)) from None
    if len(hosts) != processes:
        expected = f"{processes}, the number of train.launch.processes, which results depend on"
        raise InputError(Problem(str(hostfile), "hosts", f"{len(hosts)} hosts", expected))
    return hosts


def _free_port(number: int) -> int:
    """The first port from mlx.launch's own on that is free on this machine with those after it, `number` in all."""
    for port in range(PORT, 65536 - number, number):
        try:
            for taken in range(port, port + number):
                with socket.socket() as trial:
                    trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    trial.bind(("", taken))
        except OSError:
            continue
        return port
    raise OSError(f"no {number} free ports from {PORT} on")


def join(processes: int, params: dict, inputs: tuple[Path, ...]) -> int:
    """This process's number among those that mlx.launch started, from 0, once all are there.

    Raises InputError when they are not as many as they should be, or do not all see the params, inputs and code that the
    first one sees.
    """
    import mlx.core as mx

    from cantica.training.checkpoint import fingerprint

    group = mx.distributed.init()
    if group.size() != processes:
        got, expected = f"a group of {group.size()}", f"{processes} processes that reach each other"
        raise InputError(Problem("params.yaml", "train.launch", got, expected))
    code = [file for room in ("cantica", "stages") for file in sorted(Path(room).rglob("*.py"))]
    digest = fingerprint(params, (*inputs, *code))
    words = mx.array([int(digest[i : i + 4], 16) for i in range(0, len(digest), 4)])
    digests = mx.distributed.all_gather(words[None], group=group)
    others = [rank for rank, same in enumerate((digests == digests[:1]).all(axis=1).tolist()) if not same]
    if others:
        got = f"other params, inputs or code in process {', '.join(map(str, others))} than in process 0"
        hint = "let the hosts share the project's folder"
        raise InputError(Problem("params.yaml", "train.launch", got, "the same files on every host", hint))
    return group.rank()
