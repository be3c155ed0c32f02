"""Compute the mean log-probability of each of many texts, for losses and for the log-likelihood of prose."""

from typing import cast

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from cantica.engine.backend.device import on_compiled_blocks
from cantica.engine.batches import collate, order
from cantica.engine.loss import token_losses
from cantica.engine.tokens import Encoded
from cantica.scoring.frozen import FrozenStates


def mean_logprobs(model: nn.Module, records: list[Encoded], batch_size: int, frozen: FrozenStates | None = None) -> list[float]:
    """Return, for each record, the mean log-probability of the tokens in its loss mask, in nats per token.

    batch_size: for a GPU and other architectures than Llama's. frozen: the hidden states of texts that are kept.
    """
    model.eval()
    if records and on_compiled_blocks(model):
        from cantica.engine.backend.cpu.model import llama
        from cantica.engine.backend.cpu.train import losses as of_tokens

        own = llama(model, max(len(record.ids) for record in records))
        return [-float(found.mean(dtype=np.float64)) for found in of_tokens(own, records, frozen)]
    means = [0.0] * len(records)
    for indices in order([len(record.ids) for record in records], batch_size, seed=None):
        losses = token_losses(model, *collate([records[i] for i in indices])[:3])
        counts = [records[i].loss_tokens for i in indices]
        starts = [sum(counts[:n]) for n in range(len(counts))]
        sums = mx.stack([losses[start : start + count].sum() for start, count in zip(starts, counts, strict=True)])
        for i, total, count in zip(indices, cast(list[float], sums.tolist()), counts, strict=True):
            means[i] = -total / count
    return means
