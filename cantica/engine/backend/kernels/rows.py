"""Elementwise work on MLX arrays with NumPy, in place, a few rows on each core.

MLX's CPU kernels compute `exp` one element at a time; NumPy uses the processor's vector instructions. Matrix products are
left to MLX and its BLAS. Each row is summed on one core, so results do not depend on the number of cores. A function that uses
these helpers computes when it is called, not when its result is evaluated.
"""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import mlx.core as mx
import numpy as np

from cantica.engine.backend.cores import cores

_ELEMENTS = 1 << 16  # number of elements that fit in a core's cache


def on_cores(work: Callable[[slice], None], rows: int, width: int) -> None:
    """Call `work` with slices that cover `rows` rows of `width` elements, each small enough for a core's cache."""
    size = max(1, _ELEMENTS // width)
    slices = [slice(first, min(first + size, rows)) for first in range(0, rows, size)]
    if len(slices) == 1:
        work(slices[0])
    else:
        list(_workers().map(work, slices))


@functools.cache
def _workers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores())


def writable(x: mx.array) -> mx.array:
    """Return the array with its rows adjacent in memory. It may be written to if nothing else refers to `x`."""
    return mx.contiguous(x)


def views(*arrays: mx.array) -> list[np.ndarray]:
    """Return each array as a NumPy matrix, with its last axis as rows. Writing to one from `writable` changes the array."""
    mx.eval(arrays)
    return [np.asarray(x).reshape(-1, x.shape[-1]) for x in arrays]


def exp_minus_max(x: np.ndarray) -> None:
    """Replace x by exp(x - max of its row), in place."""
    with np.errstate(invalid="ignore"):  # infinity - infinity becomes nan, which training reports
        x -= x.max(axis=-1, keepdims=True)
        np.exp(x, out=x)
