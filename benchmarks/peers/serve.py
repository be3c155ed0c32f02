"""A worker: it answers requests from its standard input, one JSON line each, until the input ends.

A request names a method of the worker and its arguments: {"do": "train", "records": […], …}. A record is a list of token ids
with the index of the first one in the loss: {"ids": […], "start": 97}. The last id is only a target, so a record of
n + 1 ids has n positions.
"""

import json
import os
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path


class Worker:
    """What all workers can report."""

    packages: tuple[str, ...] = ()

    def about(self) -> dict:
        """The versions of the packages that compute its numbers."""
        return {package: version(package) for package in self.packages}

    def peak_mb(self) -> float:
        """Peak resident memory so far, in MB."""
        status = Path("/proc/self/status")
        if status.exists():  # on Linux, the peak of getrusage includes that of the parent process
            return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def gigaflops(multiply, size: int = 1024, times: int = 12) -> float:
    """GFLOP/s of `multiply()`, a product of two square float32 matrices of `size`: the median of `times` calls."""
    multiply()
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        multiply()
        seconds.append(time.perf_counter() - begin)
    return 2 * size**3 / statistics.median(seconds) / 1e9


def serve(worker: Worker) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the output of libraries is no answer
    for line in sys.stdin:
        request = json.loads(line)
        answers.write(json.dumps(getattr(worker, request.pop("do"))(**request)) + "\n")
        answers.flush()
