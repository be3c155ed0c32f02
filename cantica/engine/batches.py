"""Batches of records of similar length. Each epoch has every record once, in an order that the seed determines."""

from collections.abc import Iterator
from itertools import count

import mlx.core as mx
import numpy as np

from cantica.engine.tokens import Encoded

# Lengths are rounded up to multiples of these. A GPU then compiles the training step for few shapes only. On a CPU, matrix
# products with dimensions of these multiples give the same bytes for any number of BLAS threads.
LENGTH, POSITIONS = 32, 64

Batch = tuple[mx.array, mx.array, mx.array, mx.array]


def order(lengths: list[int], batch_size: int, seed: list[int] | None) -> list[list[int]]:
    """Return the batches of an epoch, as indices of records.

    Each index occurs once. The batch of the longest records may be smaller than the others. Records in a batch have similar
    lengths. With a seed, records of about the same length are shuffled, and then the batches are shuffled. Without a seed,
    batches are in order of length.
    """
    rng = np.random.default_rng(seed) if seed is not None else None
    ties = rng.random(len(lengths)) if rng else np.arange(len(lengths))
    by_length = np.lexsort((ties, np.array(lengths) // LENGTH))
    batches = [by_length[i : i + batch_size].tolist() for i in range(0, len(lengths), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))] if rng else batches


def epochs(records: list[Encoded], batch_size: int, seed: int) -> Iterator[list[Encoded]]:
    """Yield batches of records without end: one epoch after another, each in its own order."""
    lengths = [len(record.ids) for record in records]
    for epoch in count():
        for indices in order(lengths, batch_size, [seed, epoch]):
            yield [records[i] for i in indices]


def collate(records: list[Encoded]) -> Batch:
    """Return (inputs, positions, targets, weights) of a batch with N tokens in the loss.

    inputs_BL: token ids, padded on the right. positions_N: indices into the flattened inputs; the token after each is in
    the loss. targets_N: those tokens. weights_N: 1, or 0 for the padding that rounds N up.
    """
    length = _round_up(max(len(record.ids) for record in records) - 1, LENGTH)
    inputs = np.zeros((len(records), length), np.int32)
    positions, targets = [], []
    for row, record in enumerate(records):
        inputs[row, : len(record.ids) - 1] = record.ids[:-1]
        in_loss = np.flatnonzero(record.loss_mask[1:])
        positions.append(row * length + in_loss)
        targets.append(np.array(record.ids)[in_loss + 1])
    n = sum(map(len, targets))
    pad = (0, _round_up(n, POSITIONS) - n)
    flat_positions, flat_targets = (np.pad(np.concatenate(part).astype(np.int32), pad) for part in (positions, targets))
    weights = np.pad(np.ones(n, np.float32), pad)
    return mx.array(inputs), mx.array(flat_positions), mx.array(flat_targets), mx.array(weights)


def _round_up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple
