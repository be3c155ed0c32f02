"""Which BLAS kernels this processor runs, and how fast: what `cantica check` says of `toolchain.model.blas-core`."""

import json
import os
import subprocess
import sys

from cantica.core.errors import InputError, Problem
from cantica.engine.backend.patches.mlx import LIBRARY

NOISE = 1.1  # rates closer than that are alike
# The core whose kernel it takes, and the best rate of a few products of 768 × 768, in GFLOP/s.
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


def compare_kernels(core: str) -> str:
    """How fast the kernel of a core is here, beside the one that OpenBLAS would pick; "" where MLX computes otherwise.

    Raises InputError where there is no such kernel, or this processor cannot run it.
    """
    if not os.path.exists(LIBRARY):
        return ""
    declared, picked = _probe(core), _probe(None)
    if declared is None or declared[0] != core:
        got = (
            f"{core}, which this processor cannot run"
            if declared is None
            else f"{core}, for which OpenBLAS takes {declared[0]}"
        )
        expected = f"a core whose kernel it has and this processor runs, such as {picked[0] if picked else 'Haswell'}"
        raise InputError(Problem("params.yaml", "toolchain.model.blas-core", got, expected))
    return rates_text(declared, picked)


def rates_text(declared: tuple[str, float], picked: tuple[str, float] | None) -> str:
    """A sentence on the rates of the declared kernel and of the one that OpenBLAS would pick: (core, GFLOP/s) each."""
    rate = f"toolchain.model.blas-core: {declared[0]}, {declared[1]:.0f} GFLOP/s on one core of this processor"
    if picked is None or picked[0] == declared[0] or picked[1] < NOISE * declared[1]:
        return f"{rate}, the fastest here"
    return f"{rate}; {picked[0]} is the fastest here, {picked[1]:.0f} GFLOP/s, and its results differ in their last digits"


def _probe(core: str | None) -> tuple[str, float] | None:
    """(core, GFLOP/s) of OpenBLAS in a process of its own with that kernel, or with what it picks; None where that fails."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS_")}
    chosen = {"OPENBLAS_CORETYPE": core} if core else {}
    environment = plain | chosen | {"OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-S", "-c", _PROBE, LIBRARY]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return tuple(json.loads(done.stdout)) if done.returncode == 0 else None
