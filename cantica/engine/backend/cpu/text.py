"""Texts that a model reads and continues, each with its keys and values so far."""

import mmap
from collections.abc import Sequence

import numpy as np

from cantica.engine.backend.cpu import block as blocks
from cantica.engine.backend.cpu.compiled import compiled, multiply
from cantica.engine.backend.cpu.model import Llama, kept, room, rows_of, scratch
from cantica.engine.backend.cpu.narrow import ROWS as NARROW
from cantica.engine.backend.cpu.narrow import multiply_few
from cantica.engine.backend.cpu.rows import normalize


class Texts:
    """The keys and values of several texts, each in a *slot*: (blocks, slots, tokens, GS). lengths: tokens read, by slot."""

    def __init__(self, model: Llama, slots: int, tokens: int) -> None:
        self.model, self.lengths = model, [0] * slots
        shape = (len(model.blocks), slots, max(tokens, 1), len(model.blocks[0].k.weight))
        self._keys, self._values = _lazily(shape), _lazily(shape)

    def copy(self, source: "Texts", slot: int, to: int) -> None:
        """Let slot `to` begin with what a slot of other texts has read."""
        n = source.lengths[slot]
        self._keys[:, to, :n], self._values[:, to, :n] = source._keys[:, slot, :n], source._values[:, slot, :n]
        self.lengths[to] = n

    def read(self, slots: Sequence[int], tokens: Sequence[Sequence[int]]) -> np.ndarray:
        """Read more tokens of the texts in some slots. Return the hidden states of all of them after the last norm, TD."""
        model, own = self.model, room()
        pasts = [self.lengths[slot] for slot in slots]
        rows = rows_of(model, [len(each) for each in tokens], pasts)
        x = np.take(model.embedding, np.concatenate(tokens), 0, own("x", len(rows.places), model.norm.size))
        weights = max((past + len(each)) * len(each) for past, each in zip(pasts, tokens, strict=True)) * model.blocks[0].heads
        space, none = scratch(model, rows), np.zeros((len(blocks.LINEARS), 2), np.uint32)
        places, one = (np.array(pasts), np.array(slots)), kept(model, rows, "all", weights)
        for block, keys, values in zip(model.blocks, self._keys, self._values, strict=True):
            blocks.extend(x, rows, block, *places, keys, values, np.float32(1), none, one, space)
        for slot, past, each in zip(slots, pasts, tokens, strict=True):
            self.lengths[slot] = past + len(each)
        normed = own("read", *x.shape)
        normalize(x, model.norm, model.blocks[0].eps, normed, own("read.inverse", len(x)))
        return normed


def logits(model: Llama, hidden: np.ndarray) -> np.ndarray:
    """Return the logits of hidden states ND: shape NV."""
    out = room()("logits", len(hidden), len(model.head))
    _logits(hidden, model.head, model.codes, out)
    return out


@compiled
def _logits(hidden, head, codes, out):
    if hidden.shape[0] <= NARROW and codes.codes.shape[0]:
        multiply_few(hidden, codes, 0, out)
    else:
        multiply(hidden, head, out, False, True, 1, 0)


def _lazily(shape: tuple[int, ...]) -> np.ndarray:
    """Return an array whose memory is taken only where it is written to, in small pages."""
    memory = mmap.mmap(-1, int(np.prod(shape)) * 4)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, np.float32).reshape(shape)
