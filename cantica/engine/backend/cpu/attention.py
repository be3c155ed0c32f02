"""Causal attention of texts whose rows follow each other, with its exact gradient."""

from cantica.engine.backend.cpu.compiled import compiled, exp, inlined, multiply
from cantica.engine.backend.cpu.rows import ONE, ZERO
from cantica.engine.backend.cpu.sums import add_up, dot, greatest

QUERIES = 128  # in a block; it sees no key after its last query


@compiled
def attend(q, k, v, heads, size, scale, kept, out):
    """Set out_Q(HS) to the attention of one text's queries q_Q(HS), its last tokens, to all its keys and values, K(GS).

    kept: a flat array that the weights are written to, for the gradient. Return the part of it that was not used.
    """
    past, shared = k.shape[0] - q.shape[0], heads * size // k.shape[1]
    for head in range(heads):
        own, other = head * size, head // shared * size
        for first in range(0, q.shape[0], QUERIES):
            last = min(first + QUERIES, q.shape[0])
            keys = past + last
            weights = kept[: (last - first) * keys].reshape(last - first, keys)
            kept = kept[(last - first) * keys :]
            multiply(q[first:last, own : own + size], k[:keys, other : other + size], weights, False, True, scale, 0)
            for row in range(last - first):
                _softmax(weights[row], past + first + row + 1)
            multiply(weights, v[:keys, other : other + size], out[first:last, own : own + size], False, False, 1, 0)
    return kept


@inlined
def _softmax(row, seen):
    """Replace the first `seen` scores of a row by their softmax, and the others by 0."""
    most = greatest(row[:seen])
    for i in range(seen):
        row[i] = exp(row[i] - most)
    share = ONE / add_up(row[:seen])
    for i in range(seen):
        row[i] *= share
    for i in range(seen, row.shape[0]):
        row[i] = ZERO


@compiled
def gradient_of_attention(q, k, v, heads, size, scale, kept, out, d_out, d_q, d_k, d_v, scratch):
    """Set d_q, d_k and d_v of one text without a past. kept: what `attend` wrote; return the part that was not used.

    scratch: at least QUERIES numbers for each token.
    """
    shared = heads * size // k.shape[1]
    d_k[:], d_v[:] = ZERO, ZERO
    for head in range(heads):
        own, other = slice(head * size, head * size + size), slice(head // shared * size, head // shared * size + size)
        for first in range(0, q.shape[0], QUERIES):
            last = min(first + QUERIES, q.shape[0])
            weights = kept[: (last - first) * last].reshape(last - first, last)
            kept = kept[(last - first) * last :]
            d_scores = scratch[: (last - first) * last].reshape(last - first, last)
            d_own, own_out = d_out[first:last, own], out[first:last, own]
            multiply(d_own, v[:last, other], d_scores, False, True, 1, 0)
            for row in range(last - first):
                mean = dot(d_own[row], own_out[row])
                for i in range(last):
                    d_scores[row, i] = (d_scores[row, i] - mean) * weights[row, i]
            multiply(weights, d_own, d_v[:last, other], True, False, 1, 1)
            multiply(d_scores, k[:last, other], d_q[first:last, own], False, False, scale, 0)
            multiply(d_scores, q[first:last, own], d_k[:last, other], True, False, scale, 1)
    return kept


def weights_of(lengths, heads):
    """Return how many weights `attend` keeps for texts of these lengths without a past."""
    return heads * sum(
        (min(first + QUERIES, n) - first) * min(first + QUERIES, n) for n in lengths for first in range(0, n, QUERIES)
    )
