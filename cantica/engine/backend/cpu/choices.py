"""The log-probabilities of several texts that begin alike, with their common start computed once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cantica.engine.backend.cores import on_cores
from cantica.engine.backend.cpu.head import ROWS, cross_entropy
from cantica.engine.backend.cpu.model import Llama, room
from cantica.engine.backend.cpu.text import Texts

if TYPE_CHECKING:
    from cantica.engine.tokens import Encoded


def logprobs(
    model: Llama, groups: "Sequence[Sequence[Encoded]]", head: int, starts: Sequence[int], parts: Sequence[Sequence[int]]
) -> list[list[float]]:
    """Return the log-probability of each record of each group, in nats: the sum over the tokens in its loss mask.

    head: the number of tokens that all records begin with. starts: that of each group, head and more; it is less than the
    first place in a loss mask. parts: the groups that are computed together, as indices.
    """
    shared = Texts(model, 1, head)
    if head:
        shared.read([0], [groups[0][0].ids[:head]])
    sums: list[list[float]] = [[] for _ in groups]

    def work(part: Sequence[int]) -> None:
        own = [groups[i] for i in part]
        asked = Texts(model, len(part), max(starts[i] for i in part))
        for slot in range(len(part)):
            asked.copy(shared, 0, slot)
        longer = [(slot, group[0].ids[head : starts[i]]) for slot, (i, group) in enumerate(zip(part, own, strict=True))]
        if rest := [(slot, tokens) for slot, tokens in longer if tokens]:
            asked.read([slot for slot, _ in rest], [tokens for _, tokens in rest])
        records = [(slot, starts[i], record) for slot, i in enumerate(part) for record in groups[i]]
        texts = Texts(model, len(records), max(len(record.ids) for _, _, record in records))
        for row, (slot, _, _) in enumerate(records):
            texts.copy(asked, slot, row)
        hidden = texts.read(range(len(records)), [record.ids[start:-1] for _, start, record in records])
        found = iter(_sums(model, hidden, [(start, record) for _, start, record in records]))
        for i in part:
            sums[i] = [next(found) for _ in groups[i]]

    on_cores(work, parts)
    return sums


def _sums(model: Llama, hidden: np.ndarray, records: "list[tuple[int, Encoded]]") -> list[float]:
    """Return the sum of the log-probabilities of each record. hidden: of its tokens from its start on, without the last."""
    targets = np.concatenate([record.ids[start + 1 :] for start, record in records])
    counted = np.concatenate([record.loss_mask[start + 1 :] for start, record in records])
    losses = np.zeros(int(counted.sum()), np.float32)
    own = room()
    logits, none = own("head.logits", ROWS, len(model.head)), own("head.d_normed", 0, hidden.shape[1])
    cross_entropy(hidden[counted], model.head, targets[counted], logits, losses, none)
    cuts = np.cumsum([sum(record.loss_mask[start + 1 :]) for start, record in records])[:-1]
    return [-float(each.sum(dtype=np.float64)) for each in np.split(losses, cuts)]
