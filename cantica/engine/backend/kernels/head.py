"""Cross-entropy of a frozen head on a CPU, a few rows of logits at a time."""

from collections.abc import Iterator
from typing import cast

import mlx.core as mx
import numpy as np

from cantica.engine.backend.kernels.rows import exp_minus_max, on_cores, views, writable

_ROWS = 64  # rows of logits in memory at a time


def head_losses(hidden: mx.array, head: mx.array, targets: mx.array, trains: bool) -> mx.array:
    """Return the cross-entropy, in nats, of the logits hidden_ND @ head_VD.T and targets_N: shape N.

    Only a few rows of logits are in memory at a time. The head is frozen: it gets no gradient. With `trains`, the gradient
    with respect to `hidden` is computed together with the loss. Otherwise there is no gradient.
    """
    gradients: list[mx.array] = []

    @mx.custom_function
    def losses(hidden: mx.array) -> mx.array:
        found = [_losses_of_rows(rows, head, wanted, trains) for rows, wanted in _row_blocks(hidden, targets)]
        gradients[:] = [gradient for _, gradient in found if gradient is not None]
        return mx.concatenate([loss for loss, _ in found])

    @losses.vjp
    def _(primals: mx.array, cotangent: mx.array, output: mx.array) -> mx.array:
        return mx.concatenate(gradients) * cotangent[:, None]

    return cast(mx.array, losses(hidden))


def _row_blocks(hidden: mx.array, targets: mx.array) -> Iterator[tuple[mx.array, mx.array]]:
    cuts = list(range(_ROWS, hidden.shape[0], _ROWS))
    return zip(mx.split(hidden, cuts), mx.split(targets, cuts), strict=True)


def _losses_of_rows(hidden: mx.array, head: mx.array, targets: mx.array, trains: bool) -> tuple[mx.array, mx.array | None]:
    """Return (losses_N, their gradient with respect to hidden_ND, or None) of a few rows."""
    logits = writable(hidden @ head.T)
    view, wanted = views(logits)[0], np.array(targets)
    losses = np.empty(len(wanted), np.float32)

    def work(rows: slice) -> None:
        part, places = view[rows], (np.arange(rows.stop - rows.start), wanted[rows])
        picked = part[places] - part.max(axis=-1)
        exp_minus_max(part)
        sums = part.sum(axis=-1, keepdims=True)
        losses[rows] = np.log(sums[:, 0]) - picked
        if trains:
            part /= sums
            part[places] -= 1

    on_cores(work, *view.shape)
    return mx.array(losses), logits @ head if trains else None
