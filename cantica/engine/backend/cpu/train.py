"""The loss of a batch and the gradients of LoRA tensors, computed by the compiled blocks."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_unflatten

from cantica.engine.backend.cores import on_cores
from cantica.engine.backend.cpu import block as blocks
from cantica.engine.backend.cpu.block import LINEARS, Block, Gradients, Rows
from cantica.engine.backend.cpu.head import ROWS, cross_entropy
from cantica.engine.backend.cpu.model import PLACES, Llama, groups, kept, llama, room, rows_of, scratch, with_lora
from cantica.engine.backend.cpu.rows import add_gradient_of_norm, normalize

if TYPE_CHECKING:
    from cantica.engine.tokens import Encoded

STATES = 1 << 30  # bytes of hidden states after the frozen blocks that are kept; more are computed again for each batch

Remember = Callable[[Sequence[Sequence[int]], Callable[[], np.ndarray]], np.ndarray]


class Trainer:
    """Computes losses and gradients of batches from some records, with the LoRA tensors that the model has at that time."""

    def __init__(self, model: nn.Module, records: "Sequence[Encoded]", keep: float, recomputes: bool) -> None:
        """Compute the hidden states of all records after the frozen blocks.

        keep: the probability with which dropout keeps an element. recomputes: whether a block keeps only its input for the
        gradient, and computes the rest again.
        """
        self._model, self._keep, self._recomputes = model, np.float32(keep), recomputes
        self._llama = llama(model, max((len(record.ids) for record in records), default=1))
        size = 4 * self._llama.norm.size * sum(len(record.ids) for record in records)
        self._states: dict[int, np.ndarray] = {}
        if self._llama.adapted and size <= STATES:
            parts = [[records[i] for i in part] for part in groups([len(record.ids) - 1 for record in records])]
            for part, states in zip(
                parts,
                on_cores(lambda part: _after_frozen(self._llama, part, _rows(self._llama, part)).copy(), parts),
                strict=True,
            ):
                starts = _rows(self._llama, part).starts
                self._states |= {id(record): states[a:b] for record, a, b in zip(part, starts, starts[1:], strict=False)}

    def __call__(self, records: "Sequence[Encoded]") -> tuple[mx.array, mx.array, dict]:
        """Return (mean cross-entropy in nats per token, number of tokens, tree of gradients of the LoRA tensors)."""
        own = with_lora(self._llama, self._model)
        parts = groups([len(record.ids) - 1 for record in records])
        number = len(own.blocks) - own.adapted
        seeds = np.array(mx.random.randint(0, 1 << 31, (len(parts), number, len(LINEARS), 2))).astype(np.uint32)
        tokens = sum(record.loss_tokens for record in records)

        def work(n: int) -> tuple[np.ndarray, list[Gradients]]:
            return self._of_group(own, [records[i] for i in parts[n]], seeds[n], np.float32(1 / tokens))

        found = on_cores(work, range(len(parts)))
        mean = sum(float(losses.sum(dtype=np.float64)) for losses, _ in found) / tokens
        return mx.array(mean), mx.array(tokens), _tree(own, [gradients for _, gradients in found])

    def _of_group(
        self, model: Llama, records: "list[Encoded]", seeds: np.ndarray, share: np.float32
    ) -> tuple[np.ndarray, list[Gradients]]:
        """Return (the losses of a group's tokens, the gradients of each adapted block). share: that of a token in the mean."""
        rows = _rows(model, records)
        if id(records[0]) in self._states:
            x = room()("x", len(rows.places), model.norm.size)
            np.concatenate([self._states[id(record)] for record in records], out=x)
        else:
            x = _after_frozen(model, records, rows)
        space, adapted = scratch(model, rows), model.blocks[model.adapted :]
        keeps = [kept(model, rows, "all" if self._recomputes else f"{n}") for n in range(len(adapted))]
        inputs = []
        for block, seed, one in zip(adapted, seeds, keeps, strict=True):
            if self._recomputes:
                inputs.append(x.copy())
            blocks.forward(x, rows, block, self._keep, seed, one, space)
        losses, d_x = _of_head(model, records, rows, x, share)
        gradients = [_zeros(block) for block in adapted]
        for n in reversed(range(len(adapted))):
            if self._recomputes:
                blocks.forward(inputs[n], rows, adapted[n], self._keep, seeds[n], keeps[n], space)
            blocks.backward(d_x, rows, adapted[n], self._keep, seeds[n], keeps[n], space, gradients[n])
        return losses, gradients


def losses(model: Llama, records: "Sequence[Encoded]", remember: Remember | None) -> list[np.ndarray]:
    """Return, for each record, the cross-entropy of each of its tokens in the loss, in nats.

    remember: returns the hidden states of texts after the frozen blocks, given the texts and a function that computes them.
    None computes them.
    """
    parts = groups([len(record.ids) - 1 for record in records])
    found: list[np.ndarray] = [np.zeros(0, np.float32)] * len(records)

    def work(part: list[int]) -> None:
        own = [records[i] for i in part]
        rows = _rows(model, own)
        if remember:
            states = remember([record.ids[:-1] for record in own], lambda: _after_frozen(model, own, rows))
        else:
            states = _after_frozen(model, own, rows)
        x = _through(model, states, rows, model.blocks[model.adapted :])
        of_tokens, _ = _of_head(model, own, rows, x, None)
        cuts = np.cumsum([record.loss_tokens for record in own])[:-1]
        for index, each in zip(part, np.split(of_tokens, cuts), strict=True):
            found[index] = each

    on_cores(work, parts)
    return found


def _rows(model: Llama, records: "Sequence[Encoded]") -> Rows:
    return rows_of(model, [len(record.ids) - 1 for record in records])


def _embedded(model: Llama, records: "Sequence[Encoded]") -> np.ndarray:
    tokens = np.concatenate([record.ids[:-1] for record in records])
    return np.take(model.embedding, tokens, 0, room()("x", len(tokens), model.norm.size))


def _through(model: Llama, x: np.ndarray, rows: Rows, some: Sequence[Block]) -> np.ndarray:
    """Return x, replaced by the output of some blocks, without dropout."""
    space, one, none = scratch(model, rows), kept(model, rows, "all"), np.zeros((len(LINEARS), 2), np.uint32)
    for block in some:
        blocks.forward(x, rows, block, np.float32(1), none, one, space)
    return x


def _after_frozen(model: Llama, records: "Sequence[Encoded]", rows: Rows) -> np.ndarray:
    return _through(model, _embedded(model, records), rows, model.blocks[: model.adapted])


def _of_head(
    model: Llama, records: "Sequence[Encoded]", rows: Rows, x: np.ndarray, share: np.float32 | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return (the losses of the tokens in the loss, the gradient of their mean with respect to x).

    share: the weight of a token in the mean; None for no gradient.
    """
    in_loss = [np.flatnonzero(record.loss_mask[1:]) for record in records]
    positions = np.concatenate([first + own for first, own in zip(rows.starts.tolist(), in_loss, strict=False)])
    targets = np.concatenate([np.array(record.ids)[own + 1] for record, own in zip(records, in_loss, strict=True)])
    own, eps, n = room(), model.blocks[0].eps, len(positions)
    hidden, normed, inverse = x[positions], own("head.normed", n, x.shape[1]), own("head.inverse", n)
    normalize(hidden, model.norm, eps, normed, inverse)
    found, d_normed = np.zeros(n, np.float32), own("head.d_normed", n if share else 0, x.shape[1])
    cross_entropy(normed, model.head, targets, own("head.logits", ROWS, len(model.head)), found, d_normed)
    d_x = own("d_x", *x.shape)
    if share:
        d_normed *= share
        d_hidden = np.zeros_like(hidden)
        add_gradient_of_norm(d_normed, hidden, model.norm, inverse, d_hidden)
        d_x[:] = 0
        d_x[positions] = d_hidden
    return found, d_x


def _zeros(block: Block) -> Gradients:
    layers = [getattr(block, name) for name in LINEARS]
    return Gradients(*(np.zeros(array.shape, np.float32) for layer in layers for array in (layer.a, layer.b)))


def _tree(model: Llama, found: list[list[Gradients]]) -> dict:
    """Return the sum of the gradients of all groups, as a tree of the model's LoRA tensors. They are added in order."""
    total = {}
    for n, of_groups in enumerate(zip(*found, strict=True)):
        for field, arrays in zip(Gradients._fields, zip(*of_groups, strict=True), strict=True):
            if arrays[0].size:
                name, side = field.split("_")
                total[f"model.layers.{model.adapted + n}.{PLACES[name]}.lora_{side}"] = mx.array(sum(arrays[1:], arrays[0]))
    return cast(dict, tree_unflatten(list(total.items())))
