"""Attention on a CPU, with its exact gradient.

Shapes: B batch, H heads, G groups of heads that share a key, Q queries (all, or those of a block), K keys, D size of a head.
"""

from collections.abc import Iterator
from typing import Any, cast

import mlx.core as mx
import numpy as np

from cantica.engine.backend.kernels.rows import exp_minus_max, on_cores, views, writable

_QUERIES = 128  # queries in a block
_LEAST = np.finfo(np.float32).min

stock = mx.fast.scaled_dot_product_attention


def attention(
    q: mx.array, k: mx.array, v: mx.array, *, scale: float, mask: mx.array | str | None = None, **options: Any
) -> mx.array:
    """Return `mx.fast.scaled_dot_product_attention` of q_BHQD, k_BGKD and v_BGKD: shape BHQD.

    Scores are computed for a block of queries at a time and, under a causal mask, only for the keys that the block may see.
    """
    plain = mask is None or isinstance(mask, str) or (mask.dtype == mx.bool_ and (mask.ndim < 4 or mask.shape[1] == 1))
    if q.dtype != mx.float32 or not plain or options.get("sinks") is not None:
        return stock(q, k, v, scale=scale, mask=mask, **options)
    kept: list[mx.array] = []  # the weights of each block, for the gradient

    def weigh(q: mx.array, k: mx.array) -> None:
        kept[:] = [_weights(block, k[:, :, :last], hidden) for block, last, hidden in _blocks(q, k, mask)]

    @mx.custom_function
    def attend(q: mx.array, k: mx.array, v: mx.array) -> mx.array:
        if q.shape[2] == 1:
            return _attention_of_one(q, k, v, mask)
        weigh(q, k)
        outputs = [w @ v[:, :, None, : w.shape[-1]] for w in kept]
        return mx.concatenate([_ungroup(out, q.shape[1]) for out in outputs], axis=2)

    @attend.vjp
    def _(primals: tuple, cotangent: mx.array, output: mx.array) -> tuple[mx.array, mx.array, mx.array]:
        q, k, v = primals
        if not kept:
            weigh(q, k)
        return _gradients(q, k, v, cotangent, output, kept)

    return cast(mx.array, attend(q * scale, k, v))


def _attention_of_one(q: mx.array, k: mx.array, v: mx.array, mask: mx.array | str | None) -> mx.array:
    """Return the attention of one query per text, as in generation. Each core works on a few texts."""
    mx.eval(q, k, v)
    out = np.empty(q.shape, np.float32)
    queries, outs = (x.reshape(q.shape[0], k.shape[1], -1, q.shape[3]) for x in (np.asarray(q), out))
    keys, values = np.asarray(k), np.asarray(v)
    hidden = ~np.asarray(mask).reshape(-1, 1, 1, k.shape[2]) if isinstance(mask, mx.array) else None

    def work(texts: slice) -> None:
        weights = queries[texts] @ keys[texts].swapaxes(-1, -2)
        if hidden is not None:
            np.copyto(weights, _LEAST, where=hidden if len(hidden) == 1 else hidden[texts])
        exp_minus_max(weights)
        weights /= weights.sum(axis=-1, keepdims=True)
        np.matmul(weights, values[texts], out=outs[texts])

    on_cores(work, q.shape[0], 2 * q.shape[1] * k.shape[2])
    return mx.array(out)


def _gradients(
    q: mx.array, k: mx.array, v: mx.array, cotangent: mx.array, output: mx.array, kept: list[mx.array]
) -> tuple[mx.array, mx.array, mx.array]:
    groups = k.shape[1]
    dq, dk, dv = [], mx.zeros_like(k), mx.zeros_like(v)
    for n, weights in enumerate(kept):
        rows, last = slice(n * _QUERIES, n * _QUERIES + weights.shape[-2]), weights.shape[-1]
        d_out, out = _group(cotangent[:, :, rows], groups), _group(output[:, :, rows], groups)
        d_scores = writable(d_out @ v[:, :, None, :last].swapaxes(-1, -2))
        _to_gradient_of_scores(d_scores, weights, (d_out * out).sum(axis=-1, keepdims=True))
        dq.append(_ungroup(d_scores @ k[:, :, None, :last], q.shape[1]))
        dk = dk.at[:, :, :last].add((d_scores.swapaxes(-1, -2) @ _group(q[:, :, rows], groups)).sum(axis=2))
        dv = dv.at[:, :, :last].add((weights.swapaxes(-1, -2) @ d_out).sum(axis=2))
    return mx.concatenate(dq, axis=2), dk, dv


def _blocks(q: mx.array, k: mx.array, mask: mx.array | str | None) -> Iterator[tuple[mx.array, int, np.ndarray | None]]:
    """Yield (the block with its heads in groups, the number of keys that it may see, a mask of hidden keys) of each block.

    A block is a part of the queries. The mask has shape BQK or 1QK, or is None if no key is hidden.
    """
    length, keys = q.shape[2], k.shape[2]
    seen = np.asarray(mask.reshape(-1, *mask.shape[-2:])) if isinstance(mask, mx.array) else None
    for first in range(0, length, _QUERIES):
        last, rows = keys, slice(first, min(first + _QUERIES, length))
        hidden = None if seen is None else ~seen[:, rows]
        if isinstance(mask, str):
            last = keys - length + rows.stop
            hidden = np.arange(last)[None, None] > np.arange(last - rows.stop + first, last)[None, :, None]
        yield _group(q[:, :, rows], k.shape[1]), last, hidden


def _group(x: mx.array, groups: int) -> mx.array:
    """Return x_BHQD with its heads in G groups, each of adjacent heads that share a key: (B, G, H / G, Q, D)."""
    return x.reshape(x.shape[0], groups, -1, *x.shape[2:])


def _ungroup(x: mx.array, heads: int) -> mx.array:
    return x.reshape(x.shape[0], heads, *x.shape[3:])


def _weights(block: mx.array, keys: mx.array, hidden: np.ndarray | None) -> mx.array:
    """Return the attention weights (B, G, H / G, Q, K) of a block of queries."""
    scores = writable(block @ keys[:, :, None].swapaxes(-1, -2))
    heads = views(scores)[0].reshape(-1, *scores.shape[-2:])
    per_text = len(heads) // scores.shape[0]

    def work(some: slice) -> None:
        part = heads[some]
        if hidden is not None:
            one = len(hidden) == 1
            np.copyto(part, _LEAST, where=hidden if one else hidden[np.arange(some.start, some.stop) // per_text])
        exp_minus_max(part)
        part /= part.sum(axis=-1, keepdims=True)

    on_cores(work, len(heads), heads[0].size)
    return scores


def _to_gradient_of_scores(d_weights: mx.array, weights: mx.array, means: mx.array) -> None:
    """Replace the gradient of attention weights by the gradient of the scores, in place: weights * (d_weights - means)."""
    d, w, m = views(d_weights, weights, means)

    def work(rows: slice) -> None:
        d[rows] -= m[rows]
        d[rows] *= w[rows]

    on_cores(work, *d.shape)
