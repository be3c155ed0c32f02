"""Run a stage from the command line, with one argument for each parameter of its `main`.

When the stage has finished, its time and memory are recorded.
"""

import argparse
import inspect
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from cantica.core.errors import InputError

TIMINGS = Path(".cache/timings.jsonl")
READ: dict[str, object] = {}  # the params that this stage read, by key; `cantica.core.params` fills it
_START = time.perf_counter()


def run(main: Callable[..., None]) -> None:
    """Call `main` with the arguments of the command line, one for each of its parameters.

    The docstring of the stage's module is the help text, and the annotations (`Path`, `str`) convert the arguments. An
    `InputError` is printed without a traceback, and the exit status is 1.
    """
    module = inspect.getmodule(main)
    assert module
    name = module.__spec__.name if module.__spec__ else module.__name__
    parser = argparse.ArgumentParser(
        prog=f"python -m {name}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for parameter in inspect.signature(main).parameters.values():
        parser.add_argument(parameter.name, type=parameter.annotation)
    arguments = vars(parser.parse_args())
    # Ctrl-C ends a stage at once. This is safe, since outputs are either complete or absent. A KeyboardInterrupt, in contrast,
    # could get lost in a callback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    stage = os.environ.get("DVC_STAGE")
    if stage:
        threading.Thread(target=_exit_with, args=(os.getppid(),), daemon=True).start()
    try:
        main(**arguments)
    except InputError as error:
        sys.exit(f"{name}: {len(error.problems)} {'fault' if len(error.problems) == 1 else 'faults'} in the input\n{error}")
    # If a step runs in several processes, only the process that launched them records timings.
    if stage and "MLX_RANK" not in os.environ:
        _record_timing(stage.split(":")[-1], arguments)


def _record_timing(stage: str, arguments: dict) -> None:
    """Append the time and memory of a finished stage to TIMINGS, with the size of its inputs. No stage reads that file.

    A record is {"stage", "seconds", "cpu_seconds", "peak_mb", "params": the params that it read, "base": bytes of the base
    model, if it read one, "lines": number of lines of each argument that is a JSON Lines file}.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    per_mb = 1 << 20 if sys.platform == "darwin" else 1 << 10  # ru_maxrss is in bytes on macOS, in KiB on Linux
    record = {
        "stage": stage,
        "seconds": round(time.perf_counter() - _START, 2),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
        "peak_mb": round(used.ru_maxrss / per_mb),
        "params": READ,
        "lines": {name: _lines(value) for name, value in arguments.items() if str(value).endswith(".jsonl")},
    }
    if "base" in arguments:
        record["base"] = sum(file.stat().st_size for file in arguments["base"].iterdir())
    TIMINGS.parent.mkdir(exist_ok=True)
    with TIMINGS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def _lines(file: Path) -> int:
    with file.open("rb") as lines:
        return sum(1 for _ in lines)


def _exit_with(parent: int) -> None:
    """End this process when its parent process, DVC, has ended. Otherwise it could write outputs during the next build."""
    while os.getppid() == parent:
        time.sleep(0.1)
    os._exit(1)
