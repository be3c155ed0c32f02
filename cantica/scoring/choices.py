"""Log-probabilities of several answers to one question, with what they share computed once."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_map

from cantica.core.errors import InputError, Problem
from cantica.engine.batches import order
from cantica.engine.tokens import Encoded
from cantica.generation.prefix import caches_after, common_start

_PLACE = "\N{SYMBOL FOR UNIT SEPARATOR}"  # where the answer goes in a rendered chat


def encode_choice(tokenizer, question: str, choice: str) -> Encoded:
    """A question and, as the assistant's whole turn so far, a choice; the choice's tokens count. Raises InputError."""
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": _PLACE}]
    before, found, _ = tokenizer.apply_chat_template(messages, tokenize=False).partition(_PLACE)
    if not found:
        raise InputError(
            Problem("the chat template", "", "no place for the assistant's turn", "one that writes it as it stands")
        )
    pieces = tokenizer._tokenizer(before + choice, add_special_tokens=False, return_offsets_mapping=True)
    return Encoded(pieces["input_ids"], [end > len(before) for _, end in pieces["offset_mapping"]], 0)


def choice_logprobs(model: nn.Module, groups: list[list[Encoded]], batch_size: int) -> list[list[float]]:
    """For each record of each group the sum, in nats, of the log-probabilities of its tokens that count.

    The records of a group are answers to one question. What all groups begin with (the system prompt) is computed once,
    what the records of a group begin with once a group, and only the rest once a record. `batch_size` is in groups.
    """
    model.eval()
    starts = [_start(group) for group in groups]
    head = common_start([group[0].ids[:start] for group, start in zip(groups, starts, strict=True)])
    shared = caches_after(model, head)
    sums: list[list[float]] = [[] for _ in groups]
    for indices in order(starts, batch_size, seed=None):
        prefixes = [groups[i][0].ids[len(head) : starts[i]] for i in indices]
        caches = _prefill(model, [cache.merge([cache] * len(indices)) for cache in shared], prefixes)
        rows = mx.array([row for row, i in enumerate(indices) for _ in groups[i]])
        for cache in caches:
            cache.state = tree_map(lambda x, rows=rows: x[rows] if isinstance(x, mx.array) else x, cache.state)
        scored = iter(_score(model, caches, [(record, starts[i]) for i in indices for record in groups[i]]))
        for i in indices:
            sums[i] = [next(scored) for _ in groups[i]]
    return sums


def _start(group: list[Encoded]) -> int:
    """How many tokens the records share, less the last of them, whose output predicts the first that differs or counts."""
    first = min(record.loss_mask.index(True) for record in group)
    return min(len(common_start([record.ids for record in group])), first) - 1


def _prefill(model: nn.Module, caches: list, prefixes: list[list[int]]) -> list:
    """Run one prefix a row through the caches. Rows are padded on the right, and mlx-lm's caches then turn them round."""
    lengths = [len(prefix) for prefix in prefixes]
    if longest := max(lengths):
        for cache in caches:
            cache.prepare(lengths=lengths, right_padding=[longest - length for length in lengths])
        model(mx.array(_padded(prefixes, longest)), cache=caches)
        for cache in caches:
            cache.finalize()
        mx.eval([cache.state for cache in caches])
    return caches


def _score(model: nn.Module, caches: list, rest: list[tuple[Encoded, int]]) -> list[float]:
    """The sum of each record, whose tokens before its start are in the caches, a record a row."""
    tails = [record.ids[start:] for record, start in rest]
    longest = max(map(len, tails)) - 1
    logits = model(mx.array(_padded([tail[:-1] for tail in tails], longest)), cache=caches).astype(mx.float32)
    targets = mx.array(_padded([tail[1:] for tail in tails], longest))
    counts = mx.array(_padded([record.loss_mask[start + 1 :] for record, start in rest], longest))
    chosen = mx.take_along_axis(logits, targets[..., None], axis=-1)[..., 0] - mx.logsumexp(logits, axis=-1)
    return (chosen * counts).sum(axis=-1).tolist()


def _padded(rows: list[list], length: int) -> np.ndarray:
    padded = np.zeros((len(rows), length), np.int32)
    for row, values in zip(padded, rows, strict=True):
        row[: len(values)] = values
    return padded
