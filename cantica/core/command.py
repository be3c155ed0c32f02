"""A stage's command line, made from the signature of its `main`."""

import argparse
import inspect
import json
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

from cantica.core.errors import InputError

TIMINGS = Path(".cache/timings.jsonl")
READ: dict[str, object] = {}  # the params that the stage read, by key: what its work depends on
_START = time.perf_counter()


def run(main) -> None:
    """Call `main` with the words of the command line, one for each of its parameters, and exit.

    The module's docstring is the help text; annotations (`Path`, `str`) convert. An `InputError` is printed as it is
    and ends in exit status 1: a person's mistake needs no traceback.
    """
    module = inspect.getmodule(main)
    name = module.__spec__.name if module.__spec__ else module.__name__
    parser = argparse.ArgumentParser(
        prog=f"python -m {name}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for parameter in inspect.signature(main).parameters.values():
        parser.add_argument(parameter.name, type=parameter.annotation)
    arguments = vars(parser.parse_args())
    # Ctrl-C ends a stage at once, like any kill: outputs are whole or not there, and an exception could get lost in a callback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    stage = os.environ.get("DVC_STAGE")
    if stage:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    try:
        main(**arguments)
    except InputError as error:
        sys.exit(f"{name}: {len(error.problems)} {'fault' if len(error.problems) == 1 else 'faults'} in the input\n{error}")
    if stage and "MLX_RANK" not in os.environ:  # that of a step in several processes is kept by the one that launched them
        _keep_timing(stage.split(":")[-1], arguments)


def _keep_timing(stage: str, arguments: dict) -> None:
    """Add what a finished stage took to TIMINGS, which no stage reads, and what its work was.

    {"stage", "seconds", "cpu_seconds", "peak_mb", "params": those it read, "base": bytes of the base model, if it read one,
    "lines": of each argument that is a JSON Lines file}
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10  # of ru_maxrss: bytes there, KiB on Linux
    record = {
        "stage": stage,
        "seconds": round(time.perf_counter() - _START, 2),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
        "peak_mb": round(used.ru_maxrss / unit),
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


def _end_with(parent: int) -> None:
    """End this process when DVC, which started it, was killed: an orphan would write the same outputs as the next build."""
    while os.getppid() == parent:
        time.sleep(0.1)
    os._exit(1)
