"""One training step in several processes, each on its part of every batch: `train.launch` in params.yaml.

With R processes, an update uses the same records as with one: process r takes every R-th record of the batch, from the r-th on.
MLX averages gradients and losses over processes with equal weights, although their parts differ in the number of tokens. So
every process multiplies its mean loss by R times its share of the batch's tokens. The average is then the mean over all tokens
of the batch.
"""

from typing import cast

import mlx.core as mx

from cantica.engine.tokens import Encoded


def own_part(batch: list[Encoded], group: mx.distributed.Group) -> tuple[list[Encoded], mx.array]:
    """Return (this process's records, the scalar by which to multiply their mean loss).

    The last batch of an epoch may have too few records for all processes. A process without a record takes the
    first one and multiplies by 0, because every process must take part in every update.
    """
    own = batch[group.rank() :: group.size()]
    tokens, whole = (sum(record.loss_tokens for record in records) for records in (own, batch))
    return own or batch[:1], mx.array(group.size() * tokens / whole)


def sum_over_processes(x: mx.array) -> float:
    """Return the sum of a scalar over all processes. With one process, that is its value."""
    return cast(float, mx.distributed.all_sum(x, stream=mx.cpu).item())
