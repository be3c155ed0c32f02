"""Run a step in several processes with MLX's mlx.launch: `train.launch` in params.yaml.

The module `processes` defines what each process does with a batch.
"""

import fcntl
import os
import socket
import sys
import threading
from collections import Counter
from importlib.metadata import entry_points
from pathlib import Path
from typing import cast

from cantica.core.documents import read_json
from cantica.core.errors import InputError, Problem
from cantica.training.settings import LaunchSettings

PORT = 32323  # the first port that mlx.launch uses by default
LOCK = Path(".cache/launch.lock")


def is_worker() -> bool:
    """Return whether mlx.launch started this process."""
    return "MLX_RANK" in os.environ


def launch(settings: LaunchSettings, last: Path) -> None:
    """Run this process's own command in several processes with mlx.launch, and return when all of them have ended.

    last: the last file that the first process writes, on this machine. mlx.launch does not report failures, so this process
    exits with an error if the file is missing. Raises InputError if the hostfile has another number of hosts.
    """
    processes, hostfile = settings["processes"], settings.get("hostfile")
    hosts = _hosts(Path(hostfile), processes) if hostfile else ["127.0.0.1"] * processes
    # On CUDA, mlx.launch uses this number to give each process of a machine its own GPU.
    where = ["--repeat-hosts", str(max(Counter(hosts).values())), *(["--hostfile", hostfile] if hostfile else [])]
    command = [sys.executable, *sys.orig_argv[1:]]
    # One such step at a time: two would use the same ports and GPUs. The lock ends with this process.
    LOCK.parent.mkdir(exist_ok=True)
    fcntl.flock(os.open(LOCK, os.O_CREAT | os.O_WRONLY), fcntl.LOCK_EX)
    # mlx.launch runs in this process, not in a child: its workers end with their parent, and this process ends with DVC.
    sys.argv = ["mlx.launch", *where, "--starting-port", str(_free_port(processes)), "--", *command]
    # mlx.launch copies standard input to the workers. Without this pipe it would read the end of the input again and again.
    source, feed = os.pipe()
    os.dup2(source, 0)
    if not hostfile:
        # Fill the input of local workers. While it has room, mlx.launch tries again without a pause and uses a whole core.
        threading.Thread(target=os.write, args=(feed, bytes(1 << 21)), daemon=True).start()
    last.unlink(missing_ok=True)
    (script,) = entry_points(group="console_scripts", name="mlx.launch")
    script.load()()
    if not last.exists():
        sys.exit("the step failed in a process of mlx.launch, or process 0, which writes the outputs, ran on another machine")


def _hosts(hostfile: Path, processes: int) -> list[str]:
    """Return the host of each process. Raises InputError for a hostfile that is malformed or has another number of hosts."""
    document = read_json(hostfile)
    try:
        hosts = [host["ssh"] for host in (document["hosts"] if isinstance(document, dict) else document)]
    except (KeyError, TypeError):
        expected = 'a hostfile of mlx.launch: {"hosts": [{"ssh": …, "ips": […]}, …]}'
        raise InputError(Problem(str(hostfile), "", "no list of hosts with `ssh`", expected)) from None
    if len(hosts) != processes:
        expected = f"{processes}, the number of train.launch.processes, which results depend on"
        raise InputError(Problem(str(hostfile), "hosts", f"{len(hosts)} hosts", expected))
    return hosts


def _free_port(number: int) -> int:
    """Return the first of `number` adjacent ports, from mlx.launch's default on, that are all free on this machine."""
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
    """Wait for all processes that mlx.launch started; return the number of this process, from 0.

    Raises InputError if there are too few or too many, or if one has other params, inputs or code than the first.
    """
    import mlx.core as mx

    from cantica.core.fingerprint import fingerprint

    group = mx.distributed.init()
    if group.size() != processes:
        got, expected = f"a group of {group.size()}", f"{processes} processes that reach each other"
        raise InputError(Problem("params.yaml", "train.launch", got, expected))
    code = [file for room in ("cantica", "stages") for file in sorted(Path(room).rglob("*.py"))]
    digest = fingerprint(params, (*inputs, *code))
    words = mx.array([int(digest[i : i + 4], 16) for i in range(0, len(digest), 4)])
    digests = mx.distributed.all_gather(words[None], group=group)
    same = cast(list[bool], (digests == digests[:1]).all(axis=1).tolist())
    others = [rank for rank, one in enumerate(same) if not one]
    if others:
        got = f"other params, inputs or code in process {', '.join(map(str, others))} than in process 0"
        hint = "let the hosts share the project's folder"
        raise InputError(Problem("params.yaml", "train.launch", got, "the same files on every host", hint))
    return group.rank()
