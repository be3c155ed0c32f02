"""What every worker does: answer requests from its standard input, a JSON line each, until that ends.

A request names a method of the worker and its arguments: {"do": "train", "records": […], …}. A record is a list of token ids
with the index of its first token that carries the loss: {"ids": […], "start": 97}. The last id is a target only, so that a
record of n + 1 ids has n positions.
"""

import json
import os
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path


class Worker:
    """What each can tell of itself."""

    packages: tuple[str, ...] = ()

    def about(self) -> dict:
        """Versions of the packages that make its numbers."""
        return {package: version(package) for package in self.packages}

    def peak_mb(self) -> float:
        """Most memory that was resident so far, in MB."""
        status = Path("/proc/self/status")
        if status.exists():  # what getrusage tells begins, on Linux, with what the parent process had
            return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def gigaflops(multiply, size: int = 1024, times: int = 12) -> float:
    """GFLOP/s of `multiply()`, which multiplies two square float32 matrices of `size`: the median of so many times."""
    multiply()
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        multiply()
        seconds.append(time.perf_counter() - begin)
    return 2 * size**3 / statistics.median(seconds) / 1e9


def serve(worker: Worker) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        request = json.loads(line)
        answers.write(json.dumps(getattr(worker, request.pop("do"))(**request)) + "\n")
        answers.flush()
