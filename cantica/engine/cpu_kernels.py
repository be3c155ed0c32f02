"""Attention, SwiGLU and the loss of frozen heads for MLX on a CPU, whose stock kernels take `exp` one element at a time.

MLX does the products, on every core through its BLAS; NumPy does what is elementwise, in place, with the processor's vector
instructions, a few rows to each core. So these functions compute when they are called, not when their result is asked for.
`install()` puts them in the place of the stock ones; elsewhere (Metal, CUDA) the stock ones are better and stay. Each has its
exact gradient. The values do not hang on the number of cores: no sum crosses from one core's rows to another's.
"""

import functools
from concurrent.futures import ThreadPoolExecutor

import mlx.core as mx
import numpy as np

from cantica.engine.cores import cores
from cantica.engine.cpu_memory import bounded, keep_memory, untraced

# What is worked on at a time: queries of attention, rows of logits, elements that fit in a core's cache.
_QUERIES, _ROWS, _ELEMENTS = 128, 64, 1 << 16
_LEAST = np.finfo(np.float32).min

_stock_attention, _stock_logsumexp = mx.fast.scaled_dot_product_attention, mx.logsumexp


def _rows_on_cores(work, rows: int, width: int) -> None:
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


def _own(x: mx.array) -> mx.array:
    """An array that may be written to: nobody else has it, and its rows follow each other in memory."""
    return mx.contiguous(x)


def _views(*arrays: mx.array) -> list[np.ndarray]:
    """Each array as (rows, width). What is written to a view of an `_own` array is written to that."""
    mx.eval(arrays)
    return [np.asarray(x).reshape(-1, x.shape[-1]) for x in arrays]


def _to_powers(x: np.ndarray) -> None:
    """exp(x - the greatest of its row), in place."""
    with np.errstate(invalid="ignore"):  # what is not finite comes out as nan, and is told of there
        x -= x.max(axis=-1, keepdims=True)
        np.exp(x, out=x)


# ---- SwiGLU


def _one_plus_exp_of_minus(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # what is divided by infinity is 0, as it should be
        powers = np.negative(x)
        np.exp(powers, out=powers)
        powers += 1
        return powers


@mx.custom_function
def swiglu(gate: mx.array, x: mx.array) -> mx.array:
    """silu(gate) * x."""
    product = _own(gate * x)
    out, gates = _views(product, gate)

    def work(rows):
        out[rows] /= _one_plus_exp_of_minus(gates[rows])

    _rows_on_cores(work, *out.shape)
    return product


@swiglu.vjp
def _swiglu_vjp(primals, cotangent, output):
    gate, x = primals
    to_gate, to_x = _own(cotangent * x), _own(cotangent * gate)
    gates, d_gate, d_x = _views(gate, to_gate, to_x)

    def work(rows):
        s = 1 / _one_plus_exp_of_minus(gates[rows])
        d_x[rows] *= s
        slope = 1 - s
        slope *= gates[rows]
        slope += 1
        slope *= s
        d_gate[rows] *= slope

    _rows_on_cores(work, *gates.shape)
    return to_gate, to_x


# ---- attention


def attention(q, k, v, *, scale, mask=None, **options):
    """`mx.fast.scaled_dot_product_attention` of q (batch, heads, length, d) on k and v (batch, groups, keys, d).

    Scores are computed a block of queries at a time, and under a causal mask only against the keys that the block may see.
    """
    plain = mask is None or isinstance(mask, str) or (mask.dtype == mx.bool_ and (mask.ndim < 4 or mask.shape[1] == 1))
    if q.dtype != mx.float32 or not plain or options.get("sinks") is not None:
        return _stock_attention(q, k, v, scale=scale, mask=mask, **options)
    kept = []  # the weights of each block, for the gradient

    def weigh(q, k):
        kept[:] = [_weights(block, k[:, :, :last], hidden) for block, last, hidden in _blocks(q, k, mask)]

    @mx.custom_function
    def attend(q, k, v):
        if q.shape[2] == 1:
            return _attention_of_one(q, k, v, mask)
        weigh(q, k)
        outputs = [w @ v[:, :, None, : w.shape[-1]] for w in kept]
        return mx.concatenate([_ungroup(out, q.shape[1]) for out in outputs], axis=2)

    @attend.vjp
    def _(primals, cotangent, output):
        if not kept:
            weigh(*primals[:2])
        return _attention_vjp(*primals, cotangent, output, kept)

    return attend(q * scale, k, v)


def _attention_of_one(q, k, v, mask) -> mx.array:
    """Attention of one query for each text, as when texts are written: a few texts to each core."""
    mx.eval(q, k, v)
    out = np.empty(q.shape, np.float32)
    queries, outs = (x.reshape(q.shape[0], k.shape[1], -1, q.shape[3]) for x in (np.asarray(q), out))
    keys, values = np.asarray(k), np.asarray(v)
    hidden = ~np.asarray(mask).reshape(-1, 1, 1, k.shape[2]) if isinstance(mask, mx.array) else None

    def work(texts):
        weights = queries[texts] @ keys[texts].swapaxes(-1, -2)
        if hidden is not None:
            np.copyto(weights, _LEAST, where=hidden if len(hidden) == 1 else hidden[texts])
        _to_powers(weights)
        weights /= weights.sum(axis=-1, keepdims=True)
        np.matmul(weights, values[texts], out=outs[texts])

    _rows_on_cores(work, q.shape[0], 2 * q.shape[1] * k.shape[2])
    return mx.array(out)


def _attention_vjp(q, k, v, cotangent, output, kept):
    groups = k.shape[1]
    dq, dk, dv = [], mx.zeros_like(k), mx.zeros_like(v)
    for n, weights in enumerate(kept):
        rows, last = slice(n * _QUERIES, n * _QUERIES + weights.shape[-2]), weights.shape[-1]
        d_out, out = _group(cotangent[:, :, rows], groups), _group(output[:, :, rows], groups)
        d_scores = _own(d_out @ v[:, :, None, :last].swapaxes(-1, -2))
        _scale_rows(d_scores, weights, (d_out * out).sum(axis=-1, keepdims=True))
        dq.append(_ungroup(d_scores @ k[:, :, None, :last], q.shape[1]))
        dk = dk.at[:, :, :last].add((d_scores.swapaxes(-1, -2) @ _group(q[:, :, rows], groups)).sum(axis=2))
        dv = dv.at[:, :, :last].add((weights.swapaxes(-1, -2) @ d_out).sum(axis=2))
    return mx.concatenate(dq, axis=2), dk, dv


def _blocks(q, k, mask):
    """Of each block of queries: itself (batch, groups, heads a group, rows, d), how many keys it may see, which of them not.

    The last is (1 or batch, rows, keys), or None where all are seen.
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


def _group(x, groups: int):
    """(batch, heads, n, d) as (batch, groups, heads / groups, n, d): the heads that share a key stand together."""
    return x.reshape(x.shape[0], groups, -1, *x.shape[2:])


def _ungroup(x, heads: int):
    return x.reshape(x.shape[0], heads, *x.shape[3:])


def _weights(block, keys, hidden) -> mx.array:
    """Attention weights (batch, groups, heads a group, rows, keys) of a block of queries."""
    scores = _own(block @ keys[:, :, None].swapaxes(-1, -2))
    heads = _views(scores)[0].reshape(-1, *scores.shape[-2:])
    a_text = len(heads) // scores.shape[0]

    def work(some):
        part = heads[some]
        if hidden is not None:
            one = len(hidden) == 1
            np.copyto(part, _LEAST, where=hidden if one else hidden[np.arange(some.start, some.stop) // a_text])
        _to_powers(part)
        part /= part.sum(axis=-1, keepdims=True)

    _rows_on_cores(work, len(heads), heads[0].size)
    return scores


def _scale_rows(d_weights, weights, means) -> None:
    """Turn the gradient of attention weights into that of the scores, in place: weights * (d_weights - means)."""
    d, w, m = _views(d_weights, weights, means)

    def work(rows):
        d[rows] -= m[rows]
        d[rows] *= w[rows]

    _rows_on_cores(work, *d.shape)


# ---- the loss of a frozen head


def head_losses(hidden: mx.array, head: mx.array, targets: mx.array, trains: bool) -> mx.array:
    """Cross-entropy in nats (n,) of the logits hidden (n, d) @ head (vocabulary, d).T against targets (n,).

    The logits of a few rows at a time are in memory, and nothing else as wide. The head is frozen: it has no gradient. With
    `trains` the gradient to `hidden` is computed along with the loss, while the logits are at hand; without, there is none.
    """
    gradients = []

    @mx.custom_function
    def losses(hidden):
        found = [_head_losses(rows, head, wanted, trains) for rows, wanted in _row_blocks(hidden, targets)]
        gradients[:] = [gradient for _, gradient in found]
        return mx.concatenate([loss for loss, _ in found])

    @losses.vjp
    def _(primals, cotangent, output):
        return mx.concatenate(gradients) * cotangent[:, None]

    return losses(hidden)


def _row_blocks(hidden, targets):
    cuts = list(range(_ROWS, hidden.shape[0], _ROWS))
    return zip(mx.split(hidden, cuts), mx.split(targets, cuts), strict=True)


def _head_losses(hidden, head, targets, trains: bool) -> tuple[mx.array, mx.array | None]:
    """(losses (n,), their gradient to `hidden` (n, d) or None) of a few rows."""
    logits = _own(hidden @ head.T)
    view, wanted = _views(logits)[0], np.array(targets)
    losses = np.empty(len(wanted), np.float32)

    def work(rows):
        part, places = view[rows], (np.arange(rows.stop - rows.start), wanted[rows])
        picked = part[places] - part.max(axis=-1)
        _to_powers(part)
        sums = part.sum(axis=-1, keepdims=True)
        losses[rows] = np.log(sums[:, 0]) - picked
        if trains:
            part /= sums
            part[places] -= 1

    _rows_on_cores(work, *view.shape)
    return mx.array(losses), logits @ head if trains else None


# ---- LoRA


def lora_linear(self, x: mx.array) -> mx.array:
    """`mlx_lm.tuner.lora.LoRALinear.__call__`, with fewer arrays between input and output, and a faster dropout."""
    if not self.training:
        return mx.addmm(self.linear(x), x @ self.lora_a, self.lora_b, alpha=self.scale)
    return self.linear(x) + _low_rank(x, self.lora_a, self.lora_b, self.scale, self.dropout._p_1)


def _low_rank(x: mx.array, a: mx.array, b: mx.array, scale: float, p: float) -> mx.array:
    """scale * dropout(x) @ a @ b, where a number stays with a chance of p.

    The gradients of a and b are computed as soon as they can be, so that what they follow from need not be kept.
    """
    kept = _drawn(x.shape, p) if p < 1 else None
    scale = scale / p

    @mx.custom_function
    def path(x, a, b):
        return (_where(x, kept) @ a) @ b * scale

    @path.vjp
    def _(primals, cotangent, output):
        x, a, b = primals
        rows, to_out = _where(x, kept).reshape(-1, x.shape[-1]), cotangent.reshape(-1, cotangent.shape[-1]) * scale
        to_low = to_out @ b.T
        return _where((to_low @ a.T).reshape(x.shape), kept), untraced(rows.T @ to_low), untraced((rows @ a).T @ to_out)

    return path(x, a, b)


def _drawn(shape, p: float) -> np.ndarray:
    """True with a chance of p. MLX's own generator, from which the seed is drawn, takes far longer for each number."""
    draw = np.random.Generator(np.random.SFC64(mx.random.randint(0, 1 << 31, (4,)).tolist()))
    return draw.integers(0, 1 << 16, shape, dtype=np.uint16) < round(p * (1 << 16))


def _where(x: mx.array, kept: np.ndarray | None) -> mx.array:
    """x, and 0 where a number is not kept."""
    if kept is None:
        return x
    (numbers,) = _views(x)
    mask, product = kept.reshape(numbers.shape), np.empty_like(numbers)

    def work(rows):
        np.multiply(numbers[rows], mask[rows], out=product[rows])

    _rows_on_cores(work, *numbers.shape)
    return mx.array(product.reshape(x.shape))


# ---- for every model of mlx-lm


def logsumexp(x, axis=None, keepdims=False, **options):
    """`mx.logsumexp`, with a faster way for rows of float32, such as the logits of a batch."""
    if x.dtype != mx.float32 or axis != -1 or options:
        return _stock_logsumexp(x, axis=axis, keepdims=keepdims, **options)
    sums = _logsumexp(x)
    return sums if keepdims else sums.squeeze(-1)


@mx.custom_function
def _logsumexp(x: mx.array) -> mx.array:
    (rows,) = _views(mx.contiguous(x))
    sums = np.empty((len(rows), 1), np.float32)

    def work(some):
        powers = rows[some].copy()
        _to_powers(powers)
        sums[some] = np.log(powers.sum(axis=-1, keepdims=True)) + rows[some].max(axis=-1, keepdims=True)

    _rows_on_cores(work, *rows.shape)
    return mx.array(sums.reshape(*x.shape[:-1], 1))


@_logsumexp.vjp
def _logsumexp_vjp(primals, cotangent, output):
    x = primals[0] if isinstance(primals, (list, tuple)) else primals
    return mx.exp(x - output) * cotangent


def install() -> None:
    """Put the kernels of this module in the place of the stock ones, for every model of mlx-lm, and keep memory at hand."""
    import sys

    from mlx_lm.models import activations
    from mlx_lm.tuner.lora import LoRALinear

    keep_memory()
    LoRALinear.__call__ = lora_linear
    mx.fast.scaled_dot_product_attention, mx.logsumexp = attention, logsumexp
    for module in [activations, *(m for name, m in sys.modules.items() if name.startswith("mlx_lm.models."))]:
        if getattr(module, "swiglu", None) is not None:
            module.swiglu = swiglu
        block = getattr(module, "TransformerBlock", None)
        if block is not None and not hasattr(block.__call__, "__wrapped__"):
            block.__call__ = bounded(block.__call__)
