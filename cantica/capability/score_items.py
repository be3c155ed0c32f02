"""Score a model on the capability items."""

from typing import TYPE_CHECKING

import mlx.nn as nn

from cantica.capability.arithmetic import last_integer
from cantica.capability.checks import first_failed
from cantica.core.records import CapabilityScore
from cantica.dataset.chat import question
from cantica.engine.tokens import Encoded
from cantica.generation.ask import Completion, ask
from cantica.generation.generate import Sampler
from cantica.scoring.choices import choice_logprobs, encode_choice
from cantica.scoring.score import mean_logprobs

if TYPE_CHECKING:
    from mlx_lm.tokenizer_utils import TokenizerWrapper

BATCH = 16  # questions or passages that are scored together


def score_items(
    model: nn.Module, tokenizer: "TokenizerWrapper", items: dict[str, list[dict]], settings: dict
) -> list[CapabilityScore]:
    """Return a record for each item, grouped by kind. settings: max_tokens and batch_size of answers, and the system prompt."""
    return [
        *score_choices(model, tokenizer, items["multiple_choice"], settings["system"]),
        *score_answers(model, tokenizer, items["instructions"], items["arithmetic"], settings),
        *score_passages(model, tokenizer, items["log_likelihood"]),
    ]


def score_choices(
    model: nn.Module, tokenizer: "TokenizerWrapper", items: list[dict], system: str | None = None
) -> list[CapabilityScore]:
    """Return a record for each multiple-choice question. The model's choice is the one with the greatest log-probability.

    The log-probability of a choice is the sum over its tokens. A mean per token would favour rare words of several tokens,
    because their later tokens are easy to predict from the first: the accuracy of the default base model is 74 of 130 with
    means, and 96 of 130 with sums. A sum favours short choices, so the choices of a question should have similar lengths.
    """
    groups = [[encode_choice(tokenizer, item["question"], choice, system) for choice in item["choices"]] for item in items]
    records = []
    for item, sums in zip(items, choice_logprobs(model, groups, BATCH), strict=True):
        said = item["choices"][sums.index(max(sums))]
        failed = None if said == item["answer"] else f"answer: {item['answer']}"
        record = _record("multiple_choice", item["id"], item["question"], said, failed)
        record["chance"] = 1 / len(sums)
        records.append(record)
    return records


def score_answers(
    model: nn.Module, tokenizer: "TokenizerWrapper", instructions: list[dict], sums: list[dict], settings: dict
) -> list[CapabilityScore]:
    """Return a record for each instruction and each arithmetic problem (`sums`), whose answers are generated greedily.

    An answer to an arithmetic problem is correct if its last whole number is.
    """
    chats = [question(item["prompt"], settings["system"]) for item in (*instructions, *sums)]
    samplers = [Sampler(0, 1, 0)] * len(chats)
    completions = iter(ask(model, tokenizer, chats, samplers, settings["max_tokens"], settings["batch_size"]))
    records = []
    for item in instructions:
        completion = next(completions)
        failed = first_failed(item["checks"], completion.answer)
        records.append(_answered("instructions", item, completion, failed))
    for item in sums:
        completion = next(completions)
        failed = None if last_integer(completion.answer) == item["answer"] else f"last whole number: {item['answer']}"
        records.append(_answered("arithmetic", item, completion, failed))
    return records


def score_passages(model: nn.Module, tokenizer: "TokenizerWrapper", items: list[dict]) -> list[CapabilityScore]:
    """Return a record for each passage: the mean log-probability of its tokens, each given the tokens before it.

    The first token is not scored.
    """
    encoded = [tokenizer.encode(item["text"]) for item in items]
    means = mean_logprobs(model, [Encoded(ids, [False] + [True] * (len(ids) - 1), 0) for ids in encoded], BATCH)
    records = [_record("log_likelihood", item["id"], item["text"], None, None) for item in items]
    for record, mean in zip(records, means, strict=True):
        record["score"] = round(mean, 6)
    return records


def _answered(kind: str, item: dict, completion: Completion, failed: str | None) -> CapabilityScore:
    record = _record(kind, item["id"], item["prompt"], completion.answer, failed)
    record["ended"], record["thinking_finished"] = completion.ended, completion.thinking_finished
    return record


def _record(kind: str, id_: str, prompt: str, said: str | None, failed: str | None) -> CapabilityScore:
    return {
        "id": id_,
        "kind": kind,
        "score": int(failed is None),
        "chance": 0.0,
        "prompt": prompt,
        "said": said,
        "failed": failed,
        "ended": None,
        "thinking_finished": None,
    }
