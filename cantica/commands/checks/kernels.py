"""Which BLAS kernel this processor runs for `toolchain.model.blas-core`, and how fast it is."""

import json
import os
import subprocess
import sys
from typing import NamedTuple

from cantica.core.errors import InputError, Problem
from cantica.engine.backend.patches.mlx import LIBRARY

NOISE = 1.1  # kernels whose speeds differ by less than this factor count as equally fast
# The core whose kernel OpenBLAS takes, and the best speed of a few products of 768 × 768, in GFLOP/s.
_PROBE = """
import ctypes, json, sys, time
blas = ctypes.CDLL(sys.argv[1])
blas.openblas_get_corename.restype = ctypes.c_char_p
n, one, zero = 768, ctypes.c_float(1), ctypes.c_float(0)
a, b, c = ((ctypes.c_float * (n * n))() for _ in range(3))
rates = []
for _ in range(12):
    begin = time.perf_counter()
    blas.cblas_sgemm(101, 111, 111, n, n, n, one, a, n, b, n, zero, c, n)
    rates.append(2 * n**3 / (time.perf_counter() - begin) / 1e9)
print(json.dumps([blas.openblas_get_corename().decode(), max(rates)]))
"""


class Kernel(NamedTuple):
    """A BLAS kernel: the processor core it is written for, and its speed here in GFLOP/s."""

    core: str
    speed: float


def compare_kernels(core: str) -> str:
    """The speed of a core's kernel here, compared with the kernel that OpenBLAS would choose; "" if MLX uses another BLAS.

    Raises InputError where there is no such kernel, or this processor cannot run it.
    """
    if not os.path.exists(LIBRARY):
        return ""
    declared, chosen = probe(core), probe(None)
    if declared is None or declared.core != core:
        got = f"{core}, which this processor cannot run"
        if declared:
            got = f"{core}, for which OpenBLAS takes {declared.core}"
        expected = (
            f"a core that OpenBLAS has a kernel for and this processor can run, such as {chosen.core if chosen else 'Haswell'}"
        )
        raise InputError(Problem("params.yaml", "toolchain.model.blas-core", got, expected))
    return speeds_text(declared, chosen)


def speeds_text(declared: Kernel, chosen: Kernel | None) -> str:
    """A sentence on the speeds of the declared kernel and of the one that OpenBLAS would choose."""
    speed = f"BLAS kernel {declared.core} (toolchain.model.blas-core): {declared.speed:.0f} GFLOP/s on one core"
    if chosen is None or chosen.core == declared.core or chosen.speed < NOISE * declared.speed:
        return f"{speed}, the fastest on this processor"
    return f"{speed}; {chosen.core} would be faster here, {chosen.speed:.0f} GFLOP/s, but its results differ in the last digits"


def probe(core: str | None) -> Kernel | None:
    """The kernel that OpenBLAS takes for a core, or chooses by itself, measured in its own process; None where that fails."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS_")}
    coretype = {"OPENBLAS_CORETYPE": core} if core else {}
    environment = plain | coretype | {"OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-S", "-c", _PROBE, LIBRARY]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return Kernel(*json.loads(done.stdout)) if done.returncode == 0 else None
