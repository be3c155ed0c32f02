"""Causal attention, SwiGLU and cross-entropy for MLX on a CPU, where the stock kernels take `exp` one element at a time.

`install()` puts them in the place of the stock ones; elsewhere (Metal, CUDA) the stock ones are better and stay. Each has
its exact gradient. Accuracy in float32 is that of the stock kernels: the exponential is good to 2e-7.
"""

import mlx.core as mx

# The polynomial and the two-part ln 2 of Cephes' expf (Moshier, 1992), highest coefficient first.
_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
_LOG2E, _LN2_HIGH, _LN2_LOW = 1.44269504088896341, 0.693359375, -2.12194440e-4
_MAGIC = 12582912.0  # 1.5 * 2**23: adding it rounds a float32 to a whole number
# What is worked on at a time, so that it stays in the processor's cache: queries of attention, rows of logits.
_QUERIES, _ROWS = 128, 16

_stock_attention = mx.fast.scaled_dot_product_attention


@mx.custom_function
def exp(x: mx.array) -> mx.array:
    """Elementwise exponential of float32, from operations that vectorize; x is taken as at least -87, at most 88."""
    x = mx.clip(x, -87.0, 88.0)
    shifted = x * _LOG2E + _MAGIC  # its low bits are the nearest whole power of two
    whole = shifted - _MAGIC
    x = (x - whole * _LN2_HIGH) - whole * _LN2_LOW
    power = x * _EXP[0] + _EXP[1]
    for coefficient in _EXP[2:]:
        power = power * x + coefficient
    power = power * (x * x) + x + 1.0
    return power * mx.view((mx.view(shifted, mx.int32) << 23) + 0x3F800000, mx.float32)


@exp.vjp
def _exp_vjp(primals, cotangent, output):
    return cotangent * output


def sigmoid(x: mx.array) -> mx.array:
    """Elementwise 1 / (1 + exp(-x)) of float32."""
    return 1.0 / (1.0 + exp(-x))


@mx.custom_function
def swiglu(gate: mx.array, x: mx.array) -> mx.array:
    """silu(gate) * x."""
    return gate * sigmoid(gate) * x


@swiglu.vjp
def _swiglu_vjp(primals, cotangent, output):
    gate, x = primals
    s = sigmoid(gate)
    silu = gate * s
    return cotangent * x * (s + silu * (1.0 - s)), cotangent * silu


@mx.custom_function
def cross_entropy(logits: mx.array, targets: mx.array) -> mx.array:
    """Cross-entropy in nats (n,) of logits (n, vocabulary) against targets (n,), a few rows at a time."""
    losses = []
    for rows, wanted in _rows(logits, targets):
        top = rows.max(axis=-1, keepdims=True)
        picked = mx.take_along_axis(rows, wanted, axis=-1)
        losses.append((mx.log(exp(rows - top).sum(axis=-1, keepdims=True)) + top - picked)[:, 0])
    return mx.concatenate(losses)


@cross_entropy.vjp
def _cross_entropy_vjp(primals, cotangent, output):
    logits, targets = primals
    words = mx.arange(logits.shape[-1])
    gradients = []
    for (rows, wanted), scale in zip(_rows(logits, targets), mx.split(cotangent, _cuts(logits)), strict=True):
        powers = exp(rows - rows.max(axis=-1, keepdims=True))
        chances = powers * (scale[:, None] / powers.sum(axis=-1, keepdims=True))
        gradients.append(mx.where(words == wanted, chances - scale[:, None], chances))
    return mx.concatenate(gradients), mx.zeros_like(targets)


def _cuts(logits) -> list[int]:
    return list(range(_ROWS, logits.shape[0], _ROWS))


def _rows(logits, targets):
    return zip(mx.split(logits, _cuts(logits)), mx.split(targets[:, None], _cuts(logits)), strict=True)


def attention(q, k, v, *, scale, mask=None, **options):
    """`mx.fast.scaled_dot_product_attention`, with a faster way where the mask is causal and covers the whole text."""
    if isinstance(mask, str) and q.shape[2] == k.shape[2] and q.dtype == mx.float32 and options.get("sinks") is None:
        return causal_attention(q * scale, k, v)
    return _stock_attention(q, k, v, scale=scale, mask=mask, **options)


@mx.custom_function
def causal_attention(q: mx.array, k: mx.array, v: mx.array) -> mx.array:
    """Causal attention of q (batch, heads, length, d), scaled already, on k and v (batch, groups, length, d).

    Scores are computed a block of queries at a time, and only against the keys that the block may see.
    """
    outputs = []
    for first, last, block in _blocks(q, k):
        weights = _weights(block, k[:, :, :last], first)
        outputs.append(_ungroup(weights @ v[:, :, None, :last], q.shape[1]))
    return mx.concatenate(outputs, axis=2)


@causal_attention.vjp
def _causal_attention_vjp(primals, cotangent, output):
    q, k, v = primals
    groups = k.shape[1]
    dq, dk, dv = [], mx.zeros_like(k), mx.zeros_like(v)
    for first, last, block in _blocks(q, k):
        keys, values = k[:, :, None, :last], v[:, :, None, :last]
        weights = _weights(block, k[:, :, :last], first)
        d_out = _group(cotangent[:, :, first:last], groups)
        out = _group(output[:, :, first:last], groups)
        d_scores = weights * (d_out @ values.swapaxes(-1, -2) - (d_out * out).sum(axis=-1, keepdims=True))
        dq.append(_ungroup(d_scores @ keys, q.shape[1]))
        dk = dk.at[:, :, :last].add((d_scores.swapaxes(-1, -2) @ block).sum(axis=2))
        dv = dv.at[:, :, :last].add((weights.swapaxes(-1, -2) @ d_out).sum(axis=2))
    return mx.concatenate(dq, axis=2), dk, dv


def _blocks(q, k):
    length = q.shape[2]
    for first in range(0, length, _QUERIES):
        last = min(first + _QUERIES, length)
        yield first, last, _group(q[:, :, first:last], k.shape[1])


def _group(x, groups: int):
    """(batch, heads, n, d) as (batch, groups, heads / groups, n, d): the heads that share a key stand together."""
    return x.reshape(x.shape[0], groups, -1, *x.shape[2:])


def _ungroup(x, heads: int):
    return x.reshape(x.shape[0], heads, *x.shape[3:])


def _weights(block, keys, first: int):
    """Attention weights (batch, groups, heads / groups, rows, keys) of a block of queries that begins at `first`."""
    scores = block @ keys[:, :, None].swapaxes(-1, -2)
    rows, columns = scores.shape[-2:]
    hidden = mx.arange(columns)[None] > mx.arange(first, first + rows)[:, None]
    scores = scores + hidden * -1e30
    weights = exp(scores - mx.max(scores, axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def install() -> None:
    """Put the kernels of this module in the place of the stock ones, for every model of mlx-lm."""
    import sys

    from mlx_lm.models import activations

    mx.fast.scaled_dot_product_attention = attention
    for module in [activations, *(m for name, m in sys.modules.items() if name.startswith("mlx_lm.models."))]:
        if getattr(module, "swiglu", None) is not None:
            module.swiglu = swiglu
