"""Log-probabilities that a model gives to texts."""

import mlx.core as mx
import mlx.nn as nn

from cantica.engine.batches import collate, order
from cantica.engine.loss import token_losses
from cantica.engine.tokens import Encoded


def mean_logprobs(model: nn.Module, records: list[Encoded], batch_size: int) -> list[float]:
    """For each record the mean log-probability, in nats a token, of the tokens that count."""
    model.eval()
    means = [0.0] * len(records)
    for indices in order([len(record.ids) for record in records], batch_size, seed=None):
        losses = token_losses(model, *collate([records[i] for i in indices])[:3])
        counts = [records[i].loss_tokens for i in indices]
        starts = [sum(counts[:n]) for n in range(len(counts))]
        sums = mx.stack([losses[start : start + count].sum() for start, count in zip(starts, counts, strict=True)])
        for i, total, count in zip(indices, sums.tolist(), counts, strict=True):
            means[i] = -total / count
    return means
