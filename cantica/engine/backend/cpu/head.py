"""The head of a model: logits, and their cross-entropy with its gradient, a few rows at a time."""

import numpy as np

from cantica.engine.backend.cpu.compiled import compiled, exp, multiply
from cantica.engine.backend.cpu.rows import ONE, ZERO
from cantica.engine.backend.cpu.sums import add_up, greatest

ROWS = 64  # rows of logits in memory at a time
PIECE = 256  # terms that are added up by themselves: a float32 sum of all 49,152 is off by 1e-5


@compiled
def cross_entropy(hidden, head, targets, logits, losses, d_hidden):
    """Set losses_N, in nats, of the logits hidden_ND @ head_VD.T and targets_N, and d_hidden to the gradient of their sum.

    logits: room for ROWS of them. d_hidden: without rows, no gradient is computed.
    """
    for first in range(0, hidden.shape[0], ROWS):
        last = min(first + ROWS, hidden.shape[0])
        own = logits[: last - first]
        multiply(hidden[first:last], head, own, False, True, 1, 0)
        for row in range(last - first):
            losses[first + row] = _loss(own[row], targets[first + row])
        if d_hidden.shape[0]:
            multiply(own, head, d_hidden[first:last], False, False, 1, 0)


@compiled
def _loss(logits, target):
    """Return the cross-entropy of one row of logits, and replace them by its gradient."""
    most = greatest(logits)
    picked, total = logits[target] - most, ZERO
    for first in range(0, logits.shape[0], PIECE):
        part = logits[first : first + PIECE]
        for i in range(part.shape[0]):
            part[i] = exp(part[i] - most)
        total += add_up(part)
    share = ONE / total
    for i in range(logits.shape[0]):
        logits[i] *= share
    logits[target] -= ONE
    return np.log(total) - picked
