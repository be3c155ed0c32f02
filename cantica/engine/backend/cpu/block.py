"""A block of a Llama, for the texts of a group, and its gradient."""

from typing import NamedTuple

import numpy as np

from cantica.engine.backend.cpu.attention import attend, gradient_of_attention
from cantica.engine.backend.cpu.compiled import compiled
from cantica.engine.backend.cpu.linear import Dropout, Linear, gradient_of_linear, linear
from cantica.engine.backend.cpu.rows import add_gradient_of_norm, gradient_of_swiglu, normalize, rotate, swiglu

LINEARS = ("q", "k", "v", "o", "gate", "up", "down")  # in this order everywhere


class Block(NamedTuple):
    """The layers of a block, and the sizes of its attention."""

    norm: np.ndarray
    middle_norm: np.ndarray
    q_norm: np.ndarray  # of each head, or of all together; empty for none
    k_norm: np.ndarray
    eps: np.float32
    heads: int
    size: int
    scale: np.float32
    q: Linear
    k: Linear
    v: Linear
    o: Linear
    gate: Linear
    up: Linear
    down: Linear


class Rows(NamedTuple):
    """The rows of a group: text n has those from starts[n] to starts[n + 1]. places_T: of each row in its text."""

    starts: np.ndarray
    places: np.ndarray
    cos: np.ndarray
    sin: np.ndarray


class Kept(NamedTuple):
    """What a block computes on its way, which its gradient needs."""

    x: np.ndarray
    normed: np.ndarray
    inverse: np.ndarray
    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    weights: np.ndarray  # of attention, flat
    attended: np.ndarray
    middle: np.ndarray
    middle_normed: np.ndarray
    middle_inverse: np.ndarray
    gate: np.ndarray
    up: np.ndarray
    product: np.ndarray
    low: np.ndarray  # (7, T, R)
    plain_q: np.ndarray  # before the norm, if there is one
    plain_k: np.ndarray
    q_inverse: np.ndarray
    k_inverse: np.ndarray


class Scratch(NamedTuple):
    """Room for what is not kept."""

    hidden: np.ndarray  # TD
    attended: np.ndarray  # T(HS)
    wide: np.ndarray  # TF
    low: np.ndarray  # TR
    d_hidden: np.ndarray  # TD
    d_attended: np.ndarray  # T(HS)
    d_q: np.ndarray
    d_k: np.ndarray
    d_v: np.ndarray
    d_product: np.ndarray  # TF
    d_gate: np.ndarray
    d_up: np.ndarray
    scores: np.ndarray  # flat


class Gradients(NamedTuple):
    """Those of the LoRA tensors of a block's LINEARS."""

    q_a: np.ndarray
    q_b: np.ndarray
    k_a: np.ndarray
    k_b: np.ndarray
    v_a: np.ndarray
    v_b: np.ndarray
    o_a: np.ndarray
    o_b: np.ndarray
    gate_a: np.ndarray
    gate_b: np.ndarray
    up_a: np.ndarray
    up_b: np.ndarray
    down_a: np.ndarray
    down_b: np.ndarray


@compiled
def forward(x, rows, block, dropout, seeds, kept, scratch):
    """Replace x_TD by the output of a block. dropout: the probability to keep an element; seeds: (7, 2)."""
    kept.x[:] = x
    normalize(x, block.norm, block.eps, kept.normed, kept.inverse)
    _heads(rows, block, dropout, seeds, kept, scratch)
    weights = kept.weights
    for n in range(rows.starts.shape[0] - 1):
        a, b = rows.starts[n], rows.starts[n + 1]
        weights = attend(
            kept.q[a:b], kept.k[a:b], kept.v[a:b], block.heads, block.size, block.scale, weights, kept.attended[a:b]
        )
    _rest(x, block, dropout, seeds, kept, scratch)


@compiled
def extend(x, rows, block, pasts, slots, keys, values, dropout, seeds, kept, scratch):
    """Replace x_TD by the output of a block for texts that go on: text n after pasts[n] tokens of slots[n].

    keys, values: (slots, tokens, GS); those of the rows are added.
    """
    normalize(x, block.norm, block.eps, kept.normed, kept.inverse)
    _heads(rows, block, dropout, seeds, kept, scratch)
    for n in range(rows.starts.shape[0] - 1):
        a, b, slot = rows.starts[n], rows.starts[n + 1], slots[n]
        past, end = pasts[n], pasts[n] + b - a
        keys[slot, past:end], values[slot, past:end] = kept.k[a:b], kept.v[a:b]
        own = keys[slot, :end], values[slot, :end], block.heads, block.size, block.scale, kept.weights
        attend(kept.q[a:b], *own, kept.attended[a:b])
    _rest(x, block, dropout, seeds, kept, scratch)


@compiled
def _heads(rows, block, dropout, seeds, kept, scratch):
    """Compute the queries, keys and values."""
    linear(kept.normed, block.q, Dropout(dropout, seeds[0]), kept.low[0], scratch.hidden, kept.q, 0)
    linear(kept.normed, block.k, Dropout(dropout, seeds[1]), kept.low[1], scratch.hidden, kept.k, 0)
    linear(kept.normed, block.v, Dropout(dropout, seeds[2]), kept.low[2], scratch.hidden, kept.v, 0)
    _normalize_heads(kept.q, block.q_norm, block.eps, kept.plain_q, kept.q_inverse)
    _normalize_heads(kept.k, block.k_norm, block.eps, kept.plain_k, kept.k_inverse)
    rotate(kept.q, block.size, rows.cos, rows.sin, rows.places, np.float32(1))
    rotate(kept.k, block.size, rows.cos, rows.sin, rows.places, np.float32(1))


@compiled
def _normalize_heads(x, weight, eps, plain, inverse):
    """Replace x by its norm over as many numbers as there are weights, if any."""
    size = weight.shape[0]
    if size > 0:
        plain[:] = x
        normalize(plain.reshape(-1, size), weight, eps, x.reshape(-1, size), inverse)


@compiled
def _gradient_before_norm(d_x, weight, plain, inverse, scratch):
    """Replace the gradient of what `_normalize_heads` returns by that of what it is given."""
    size = weight.shape[0]
    if size > 0:
        d_normed = scratch.reshape(-1)[: d_x.size].reshape(-1, size)
        d_normed[:] = d_x.reshape(-1, size)
        d_x[:] = np.float32(0)
        add_gradient_of_norm(d_normed, plain.reshape(-1, size), weight, inverse, d_x.reshape(-1, size))


@compiled
def _rest(x, block, dropout, seeds, kept, scratch):
    """Add the attention's output and that of the feed-forward layer to x."""
    linear(kept.attended, block.o, Dropout(dropout, seeds[3]), kept.low[3], scratch.attended, x, 1)
    kept.middle[:] = x
    normalize(x, block.middle_norm, block.eps, kept.middle_normed, kept.middle_inverse)
    linear(kept.middle_normed, block.gate, Dropout(dropout, seeds[4]), kept.low[4], scratch.hidden, kept.gate, 0)
    linear(kept.middle_normed, block.up, Dropout(dropout, seeds[5]), kept.low[5], scratch.hidden, kept.up, 0)
    swiglu(kept.gate, kept.up, kept.product)
    linear(kept.product, block.down, Dropout(dropout, seeds[6]), kept.low[6], scratch.wide, x, 1)


@compiled
def backward(d_x, rows, block, dropout, seeds, kept, scratch, gradients):
    """Replace the gradient of a block's output by that of its input, and add those of LoRA tensors. kept: of `forward`."""
    low, wide, hidden, attended = scratch.low, scratch.wide, scratch.hidden, scratch.attended
    d_product, d_hidden, d_attended = scratch.d_product, scratch.d_hidden, scratch.d_attended
    own, g = Dropout(dropout, seeds[6]), gradients
    gradient_of_linear(d_x, kept.product, block.down, own, kept.low[6], low, wide, d_product, 0, g.down_a, g.down_b)
    gradient_of_swiglu(kept.gate, kept.up, d_product, scratch.d_gate, scratch.d_up)
    normed, own = kept.middle_normed, Dropout(dropout, seeds[4])
    gradient_of_linear(scratch.d_gate, normed, block.gate, own, kept.low[4], low, hidden, d_hidden, 0, g.gate_a, g.gate_b)
    own = Dropout(dropout, seeds[5])
    gradient_of_linear(scratch.d_up, normed, block.up, own, kept.low[5], low, hidden, d_hidden, 1, g.up_a, g.up_b)
    add_gradient_of_norm(d_hidden, kept.middle, block.middle_norm, kept.middle_inverse, d_x)

    own = Dropout(dropout, seeds[3])
    gradient_of_linear(d_x, kept.attended, block.o, own, kept.low[3], low, attended, d_attended, 0, g.o_a, g.o_b)
    weights, d_q, d_k, d_v = kept.weights, scratch.d_q, scratch.d_k, scratch.d_v
    for n in range(rows.starts.shape[0] - 1):
        a, b = rows.starts[n], rows.starts[n + 1]
        weights = gradient_of_attention(
            kept.q[a:b], kept.k[a:b], kept.v[a:b], block.heads, block.size, block.scale, weights, kept.attended[a:b],
            d_attended[a:b], d_q[a:b], d_k[a:b], d_v[a:b], scratch.scores,
        )  # fmt: skip
    rotate(d_q, block.size, rows.cos, rows.sin, rows.places, np.float32(-1))
    rotate(d_k, block.size, rows.cos, rows.sin, rows.places, np.float32(-1))
    _gradient_before_norm(d_q, block.q_norm, kept.plain_q, kept.q_inverse, scratch.attended)
    _gradient_before_norm(d_k, block.k_norm, kept.plain_k, kept.k_inverse, scratch.attended)
    normed, own = kept.normed, Dropout(dropout, seeds[0])
    gradient_of_linear(d_q, normed, block.q, own, kept.low[0], low, hidden, d_hidden, 0, g.q_a, g.q_b)
    own = Dropout(dropout, seeds[1])
    gradient_of_linear(d_k, normed, block.k, own, kept.low[1], low, hidden, d_hidden, 1, g.k_a, g.k_b)
    own = Dropout(dropout, seeds[2])
    gradient_of_linear(d_v, normed, block.v, own, kept.low[2], low, hidden, d_hidden, 1, g.v_a, g.v_b)
    add_gradient_of_norm(d_hidden, kept.x, block.norm, kept.inverse, d_x)
