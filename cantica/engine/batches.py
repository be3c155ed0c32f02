"""Batches for mlx-lm's trainer: every record in every epoch, of like length, in an order that the seed decides."""

from collections.abc import Iterator
from itertools import chain, count, islice

import mlx.core as mx
import numpy as np

from cantica.engine.tokens import Encoded

# Lengths are rounded up: the compiled training step of a GPU meets few shapes, and the threads of a CPU's BLAS share a product
# between them evenly, so that its bytes do not hang on their number.
LENGTH, POSITIONS = 32, 64


def order(lengths: list[int], batch_size: int, seed: list[int] | None) -> list[list[int]]:
    """Indices of one epoch's batches. Each index occurs once; the last batch of the longest may be smaller.

    Lengths in a batch are alike. With a seed, records of about one length are shuffled among themselves, and then the
    batches; without one, the order is that of length.
    """
    draw = np.random.default_rng(seed) if seed is not None else None
    ties = draw.random(len(lengths)) if draw else np.arange(len(lengths))
    by_length = np.lexsort((ties, np.array(lengths) // LENGTH))
    batches = [by_length[i : i + batch_size].tolist() for i in range(0, len(lengths), batch_size)]
    return [batches[i] for i in draw.permutation(len(batches))] if draw else batches


def collate(records: list[Encoded]) -> tuple[mx.array, mx.array, mx.array, mx.array]:
    """(inputs, positions, targets, weights) of one batch.

    inputs: (batch, length) token ids, padded on the right. positions: (n,) indices into the flattened inputs whose next
    token counts; targets: (n,) that token; weights: (n,) 1, or 0 where n was rounded up.
    """
    length = _up(max(len(record.ids) for record in records) - 1, LENGTH)
    inputs = np.zeros((len(records), length), np.int32)
    positions, targets = [], []
    for row, record in enumerate(records):
        inputs[row, : len(record.ids) - 1] = record.ids[:-1]
        counted = np.flatnonzero(record.counts[1:])
        positions.append(row * length + counted)
        targets.append(np.array(record.ids)[counted + 1])
    n = sum(map(len, targets))
    pad = (0, _up(n, POSITIONS) - n)
    weights = np.pad(np.ones(n, np.float32), pad)
    positions, targets = (np.pad(np.concatenate(part).astype(np.int32), pad) for part in (positions, targets))
    return mx.array(inputs), mx.array(positions), mx.array(targets), mx.array(weights)


def _up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


def iterate_batches(seed: int | None = None, skip: int = 0, collate=collate):
    """The `iterate_batches` that `mlx_lm.tuner.trainer.train` and `evaluate` take, for lists of Encoded records.

    The first `skip` batches are left out: a run that continues another has their gradients already.
    The caller's arguments for length and distribution are not needed: records are cut already, and a process that is to have
    but a part of each batch brings a `collate` of its own.
    """

    def iterate(dataset: list[Encoded], batch_size: int, loop: bool = False, **_) -> Iterator:
        lengths = [len(record.ids) for record in dataset]
        epochs = count() if loop else range(1)
        orders = (order(lengths, batch_size, None if seed is None else [seed, epoch]) for epoch in epochs)
        for indices in islice(chain.from_iterable(orders), skip, None):
            yield collate([dataset[i] for i in indices])

    return iterate
