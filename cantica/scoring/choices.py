"""The log-probabilities of several possible answers to one question, with the question computed once.

The system prompt is the same for all questions, and a question is the same for all its answers. Each shared part runs through
the model once, and its key-value caches are copied for the texts that continue it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_map

from cantica.core.errors import InputError, Problem
from cantica.dataset.chat import Message, question
from cantica.engine.backend.device import on_compiled_blocks
from cantica.engine.batches import order
from cantica.engine.tokens import Encoded, render_chat
from cantica.generation.prefix import caches_after, common_start

if TYPE_CHECKING:
    from mlx_lm.tokenizer_utils import TokenizerWrapper

_PLACEHOLDER = "\N{SYMBOL FOR UNIT SEPARATOR}"  # marks the place of the answer in a rendered chat


def encode_choice(tokenizer: "TokenizerWrapper", text: str, choice: str, system: str | None = None) -> Encoded:
    """Return an encoded chat: the system prompt, if any, a question, then the choice as the start of the assistant's turn.

    Only the choice is in the loss mask. Raises InputError if the chat template changes or omits the assistant's text.
    """
    chat: list[Message] = [*question(text, system), {"role": "assistant", "content": _PLACEHOLDER}]
    before, found, _ = render_chat(tokenizer, chat).partition(_PLACEHOLDER)
    if not found:
        got = "a template that changes or omits the assistant's text"
        raise InputError(Problem("the chat template", "", got, "a template that keeps it unchanged"))
    return encode_completion(tokenizer, before, choice)


def encode_completion(tokenizer: "TokenizerWrapper", before: str, completion: str) -> Encoded:
    """Return a text and its completion, encoded together as one text. Only the completion is in the loss mask.

    A token that is partly in the completion counts as part of it.
    """
    pieces = tokenizer._tokenizer(before + completion, add_special_tokens=False, return_offsets_mapping=True)
    return Encoded(pieces["input_ids"], [end > len(before) for _, end in pieces["offset_mapping"]], 0)


def choice_logprobs(model: nn.Module, groups: list[list[Encoded]], batch_size: int) -> list[list[float]]:
    """Return the log-probability of each record of each group, in nats: the sum over the tokens in its loss mask.

    groups: one group per question, with a record for each of its answers. batch_size: how many groups are scored together.
    The common start of all groups is computed once. The common start of a group is computed once for the group, and only the
    rest is computed for each record.
    """
    if not groups:
        return []
    model.eval()
    score = _by_blocks if on_compiled_blocks(model) else _by_mlx
    return score(model, groups, batch_size)


def _by_blocks(model: nn.Module, groups: list[list[Encoded]], batch_size: int) -> list[list[float]]:
    """Do what `choice_logprobs` does with the compiled blocks."""
    from cantica.engine.backend.cpu.choices import logprobs
    from cantica.engine.backend.cpu.model import llama

    starts = [_shared_tokens(group) for group in groups]
    head = len(common_start([group[0].ids[:start] for group, start in zip(groups, starts, strict=True)]))
    longest = max(len(record.ids) for group in groups for record in group)
    parts = order(starts, batch_size, seed=None)
    return logprobs(llama(model, longest), groups, head, starts, parts)


def _by_mlx(model: nn.Module, groups: list[list[Encoded]], batch_size: int) -> list[list[float]]:
    """Do what `choice_logprobs` does with MLX."""
    starts = [_shared_tokens(group) for group in groups]
    head = common_start([group[0].ids[:start] for group, start in zip(groups, starts, strict=True)])
    head_caches = caches_after(model, head)
    sums: list[list[float]] = [[] for _ in groups]
    for indices in order(starts, batch_size, seed=None):
        prefixes = [groups[i][0].ids[len(head) : starts[i]] for i in indices]
        caches = _prefill(model, [cache.merge([cache] * len(indices)) for cache in head_caches], prefixes)
        _repeat_rows(caches, [row for row, i in enumerate(indices) for _ in groups[i]])
        scored = iter(_score(model, caches, [(record, starts[i]) for i in indices for record in groups[i]]))
        for i in indices:
            sums[i] = [next(scored) for _ in groups[i]]
    return sums


def _shared_tokens(group: list[Encoded]) -> int:
    """Return how many tokens are computed once for all records.

    These are the tokens that all records begin with, except the last one. Each record computes that one itself, because its
    output predicts the first token that differs or that is in a loss mask.
    """
    first = min(record.loss_mask.index(True) for record in group)
    return min(len(common_start([record.ids for record in group])), first) - 1


def _prefill(model: nn.Module, caches: list[Any], prefixes: list[list[int]]) -> list[Any]:
    """Run the model on one prefix per row, and return the filled caches.

    Rows are padded on the right; mlx-lm then moves the padding to the left.
    """
    lengths = [len(prefix) for prefix in prefixes]
    if longest := max(lengths):
        for cache in caches:
            cache.prepare(lengths=lengths, right_padding=[longest - length for length in lengths])
        model(mx.array(_padded(prefixes, longest)), cache=caches)
        for cache in caches:
            cache.finalize()
        mx.eval([cache.state for cache in caches])
    return caches


def _repeat_rows(caches: list[Any], rows: list[int]) -> None:
    """Replace the rows of each cache by those with the indices `rows`: a question's row is repeated for each of its answers."""
    index = mx.array(rows)
    for cache in caches:
        cache.state = tree_map(lambda x: x[index] if isinstance(x, mx.array) else x, cache.state)


def _score(model: nn.Module, caches: list[Any], rest: list[tuple[Encoded, int]]) -> list[float]:
    """Return the sum of the log-probabilities of each record. rest: (record, its start).

    Row r of the caches already contains the tokens of record r before its start.
    """
    tails = [record.ids[start:] for record, start in rest]
    longest = max(map(len, tails)) - 1
    logits = model(mx.array(_padded([tail[:-1] for tail in tails], longest)), cache=caches).astype(mx.float32)  # (B, L, V)
    targets = mx.array(_padded([tail[1:] for tail in tails], longest))  # (B, L)
    mask = mx.array(_padded([record.loss_mask[start + 1 :] for record, start in rest], longest))
    logprobs = mx.take_along_axis(logits, targets[..., None], axis=-1)[..., 0] - mx.logsumexp(logits, axis=-1)
    return cast(list[float], (logprobs * mask).sum(axis=-1).tolist())


def _padded(rows: Sequence[Sequence[int]], length: int) -> np.ndarray:
    padded = np.zeros((len(rows), length), np.int32)
    for row, values in zip(padded, rows, strict=True):
        row[: len(values)] = values
    return padded
