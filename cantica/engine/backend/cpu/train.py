"""The loss of a batch and the gradients of LoRA tensors, computed by the compiled blocks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_unflatten

from cantica.engine.backend.cpu import block as blocks
from cantica.engine.backend.cpu.attention import weights_of
from cantica.engine.backend.cpu.block import LINEARS, Gradients, Rows
from cantica.engine.backend.cpu.head import ROWS, cross_entropy
from cantica.engine.backend.cpu.model import Llama, groups, kept, llama, on_cores, room, rows_of, scratch
from cantica.engine.backend.cpu.rows import add_gradient_of_norm, normalize
from cantica.engine.tokens import Encoded

PLACES = {name: f"{'self_attn' if name in 'qkvo' else 'mlp'}.{name}_proj" for name in LINEARS}


@dataclass
class Frozen:
    """The hidden states of records after the frozen blocks, which are the same in each epoch."""

    kept: dict[int, np.ndarray] = field(default_factory=dict)


def loss_and_gradients(
    model: nn.Module, records: Sequence[Encoded], length: int, keep: float
) -> tuple[mx.array, mx.array, dict]:
    """Return (mean cross-entropy in nats per token, number of tokens, tree of gradients of the LoRA tensors) of a batch.

    length: the most tokens of a record. keep: the probability with which dropout keeps an element.
    """
    own = llama(model, length)
    parts = groups([len(record.ids) - 1 for record in records])
    shape = (len(parts), len(own.blocks) - own.adapted, len(LINEARS), 2)
    seeds = np.array(mx.random.randint(0, 1 << 31, shape)).astype(np.uint32)
    tokens = sum(record.loss_tokens for record in records)

    def work(n: int) -> tuple[np.ndarray, list[Gradients]]:
        return _of_group(own, [records[i] for i in parts[n]], np.float32(keep), seeds[n], np.float32(1 / tokens))

    found = on_cores(work, range(len(parts)))
    losses = np.concatenate([losses for losses, _ in found])
    total: dict[str, mx.array] = {}
    for n in range(len(own.blocks) - own.adapted):
        for name in LINEARS:
            for side in "ab":
                first, *rest = (getattr(gradients[n], f"{name}_{side}") for _, gradients in found)
                for other in rest:
                    first += other
                if first.size:
                    total[f"model.layers.{own.adapted + n}.{PLACES[name]}.lora_{side}"] = mx.array(first)
    return mx.array(losses.sum(dtype=np.float64) / tokens, mx.float32), mx.array(tokens), cast(dict, tree_unflatten(total))


def _of_group(
    model: Llama, records: list[Encoded], keep: np.float32, seeds: np.ndarray, share: np.float32
) -> tuple[np.ndarray, list[Gradients]]:
    """Return (the losses of a group's tokens, the gradients of each adapted block). share: that of a token in the mean."""
    rows = rows_of(model, [len(record.ids) - 1 for record in records])
    x = _embedded(model, records, rows)
    weights = weights_of(np.diff(rows.starts).tolist(), model.blocks[0].heads)
    space, none = scratch(model, model.blocks[0], rows), np.zeros((len(LINEARS), 2), np.uint32)
    for block in model.blocks[: model.adapted]:
        blocks.forward(x, rows, block, np.float32(1), none, kept(model, block, rows, weights, "frozen"), space)
    adapted = model.blocks[model.adapted :]
    own = [kept(model, block, rows, weights, f"{n}") for n, block in enumerate(adapted)]
    for block, seed, one in zip(adapted, seeds, own, strict=True):
        blocks.forward(x, rows, block, keep, seed, one, space)
    losses, d_x = _of_head(model, records, rows, x, share)
    gradients = [_zeros(block) for block in adapted]
    for block, seed, one, gradient in reversed(list(zip(adapted, seeds, own, gradients, strict=True))):
        blocks.backward(d_x, rows, block, keep, seed, one, space, gradient)
    return losses, gradients


def _embedded(model: Llama, records: list[Encoded], rows: Rows) -> np.ndarray:
    return np.take(model.embedding, np.concatenate([record.ids[:-1] for record in records]), 0, room()("x", len(rows.places), model.norm.size))


def _of_head(
    model: Llama, records: list[Encoded], rows: Rows, x: np.ndarray, share: np.float32
) -> tuple[np.ndarray, np.ndarray]:
    """Return (the losses of the tokens in the loss, the gradient of their share in the mean with respect to x)."""
    in_loss = [np.flatnonzero(record.loss_mask[1:]) for record in records]
    positions = np.concatenate([first + own for first, own in zip(rows.starts.tolist(), in_loss, strict=False)])
    targets = np.concatenate([np.array(record.ids)[own + 1] for record, own in zip(records, in_loss, strict=True)])
    own, eps, n = room(), model.blocks[0].eps, len(positions)
    normed, inverse, d_normed = own("head.normed", n, x.shape[1]), own("head.inverse", n), own("head.d_normed", n, x.shape[1])
    hidden, d_hidden, losses = x[positions], np.zeros((n, x.shape[1]), np.float32), np.zeros(n, np.float32)
    normalize(hidden, model.norm, eps, normed, inverse)
    cross_entropy(normed, model.head, targets, own("head.logits", ROWS, len(model.head)), losses, d_normed)
    d_normed *= share
    add_gradient_of_norm(d_normed, hidden, model.norm, inverse, d_hidden)
    d_x = own("d_x", *x.shape)
    d_x[:] = 0
    d_x[positions] = d_hidden
    return losses, d_x


def _zeros(block: blocks.Block) -> Gradients:
    layers = [getattr(block, name) for name in LINEARS]
    return Gradients(*(np.zeros(array.shape, np.float32) for layer in layers for array in (layer.a, layer.b)))
