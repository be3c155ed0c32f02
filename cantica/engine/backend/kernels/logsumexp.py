"""The logarithm of a sum of exponentials on a CPU, with its exact gradient."""

from typing import Any, cast

import mlx.core as mx
import numpy as np

from cantica.engine.backend.kernels.rows import exp_minus_max, on_cores, views

stock = mx.logsumexp


def logsumexp(x: mx.array, axis: Any = None, keepdims: bool = False, **options: Any) -> mx.array:
    """Return what `mx.logsumexp` returns, but faster for float32 over the last axis, as for the logits of a batch."""
    if x.dtype != mx.float32 or axis != -1 or options:
        return stock(x, axis=axis, keepdims=keepdims, **options)
    sums = cast(mx.array, _over_rows(x))
    return sums if keepdims else sums.squeeze(-1)


@mx.custom_function
def _over_rows(x: mx.array) -> mx.array:
    (rows,) = views(mx.contiguous(x))
    sums = np.empty((len(rows), 1), np.float32)

    def work(some: slice) -> None:
        powers = rows[some].copy()
        exp_minus_max(powers)
        sums[some] = np.log(powers.sum(axis=-1, keepdims=True)) + rows[some].max(axis=-1, keepdims=True)

    on_cores(work, *rows.shape)
    return mx.array(sums.reshape(*x.shape[:-1], 1))


@_over_rows.vjp
def _over_rows_vjp(primals: Any, cotangent: mx.array, output: mx.array) -> mx.array:
    x = primals[0] if isinstance(primals, (list, tuple)) else primals
    return mx.exp(x - output) * cotangent
