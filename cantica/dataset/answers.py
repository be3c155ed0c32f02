"""Training examples from answers: the chats that an author is asked, which of its answers are kept, and why others are not."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, TypedDict

from cantica.core.errors import InputError, Problem
from cantica.core.records import Sampling
from cantica.core.seeds import seed_of
from cantica.dataset.chat import Example, Message, all_words, assistant_turn, split_thinking, with_system

SAMPLE_ID = re.compile(r"([a-z][a-z0-9_]*)-\d{3,}-\d+")  # the id of an example of a sample; its group is the sample's name
SAMPLE_ORIGIN = re.compile(
    r"answer \d+ of .+ to .+"
)  # the origin of an example of a sample; other samples may have the same one
# Why an answer is dropped. The first reason that applies is counted.
REASONS = ("no answer", "not ended", "pattern", "without", "repeated")


class Asked(NamedTuple):
    """A chat that the author of a sample is asked.

    prompt: its messages without the author's system prompt. answer: what the record answers, without thinking.
    """

    id: str
    origin: str
    prompt: list[Message]
    answer: str
    chat: list[Message]
    seed: int


class Answer(TypedDict):
    """An author's answer to a chat.

    answer: "" if the thinking did not finish. tokens: of thinking and answer together; None if a server sends no number.
    ended: whether the author stopped by itself, before the token limit.
    """

    thinking: str
    answer: str
    thinking_finished: bool
    tokens: int | None
    ended: bool


def answer_in(text: str, tokens: int | None, ended: bool) -> Answer:
    """Return the answer in a reply, whose thinking, if any, is between tags."""
    thinking, answer, finished = split_thinking(text)
    return {"thinking": thinking, "answer": answer, "thinking_finished": finished, "tokens": tokens, "ended": ended}


def asked_of(sample: str, records: Sequence[Example], author: str, settings: dict) -> list[Asked]:
    """Return the chats of a sample: `settings["samples"]` for each record, which is its messages without the last answer.

    A record that occurs again, as in a mix, continues the numbers of its answers, so that each answer has a seed of its own.
    """
    asked: list[Asked] = []
    numbers: Counter[str] = Counter()
    for place, record in enumerate(records, 1):
        *prompt, last = record["messages"]
        _, answer, _ = split_thinking(last["content"])
        chat = with_system(prompt, settings.get("system"))
        for sample_number in range(1, settings["samples"] + 1):
            numbers[record["id"]] += 1
            number = numbers[record["id"]]
            origin = f"answer {number} of {author} to {record['id']}"
            seed = seed_of(settings["seed"], record["id"], number)
            asked.append(Asked(f"{sample}-{place:03d}-{sample_number}", origin, prompt, answer, chat, seed))
    return asked


def examples_of(
    asked: Sequence[Asked], answers: Sequence[Answer], settings: dict, place: str
) -> tuple[list[Example], dict[str, int]]:
    """Return (the examples of the answers that are kept, {reason: number of answers that are dropped for it}).

    settings: of the sample, with its filters. place: of the sample in params, for errors.

    Raises InputError if no answer is kept.
    """
    keep, writes = settings.get("keep", {}), settings.get("writes", "answer")
    dropped = dict.fromkeys(REASONS, 0)
    examples: list[Example] = []
    seen: set[str] = set()
    for one, answer in zip(asked, answers, strict=True):
        messages: list[Message] = [*one.prompt, {"role": "assistant", "content": _turn(one, answer, writes)}]
        text = " ".join(all_words(messages))
        reason = _reason(answer, keep) or ("repeated" if text in seen else None)
        if reason:
            dropped[reason] += 1
        else:
            seen.add(text)
            examples.append({"id": one.id, "origin": one.origin, "messages": messages})
    if not examples:
        got = kept_text(dropped, len(asked)) if asked else "no prompts"
        raise InputError(Problem("params.yaml", place, got, "at least one answer that is kept"))
    return examples, dropped


def _turn(one: Asked, answer: Answer, writes: str) -> str:
    """Return the assistant's turn of an example. Where only thinking is written and there is none, it is the whole reply."""
    if writes == "thinking":
        return assistant_turn(answer["thinking"] or answer["answer"], one.answer)
    return assistant_turn(answer["thinking"], answer["answer"]) if answer["thinking"] else answer["answer"]


def _reason(answer: Answer, keep: dict) -> str | None:
    """Return why an answer by itself is dropped, or None. Patterns are searched in the answer, not in its thinking."""
    if not answer["answer"]:
        return "no answer"
    if keep.get("ended") and not answer["ended"]:
        return "not ended"
    if "pattern" in keep and not re.search(keep["pattern"], answer["answer"]):
        return "pattern"
    if "without" in keep and re.search(keep["without"], answer["answer"]):
        return "without"
    return None


def kept_text(dropped: dict[str, int], asked: int) -> str:
    """Return how many answers are kept, and why others are dropped, as a phrase."""
    reasons = ", ".join(f"{number} {reason}" for reason, number in dropped.items() if number)
    return f"{asked - sum(dropped.values())} of {asked} answers kept" + (f"; dropped: {reasons}" if reasons else "")


def sampling_record(
    author: str, answers: Sequence[Answer], dropped: dict[str, int], findings: dict[str, dict[str, int]]
) -> Sampling:
    """Return the counts of a sample. findings: {"warning" or "waived": {rule of the audit: number}}."""
    tokens = [answer["tokens"] for answer in answers if answer["tokens"] is not None]
    return {
        "author": author,
        "asked": len(answers),
        "kept": len(answers) - sum(dropped.values()),
        "dropped": dropped,
        "truncated": sum(not answer["ended"] for answer in answers),
        "tokens": sum(tokens) if len(tokens) == len(answers) else None,
        "findings": findings,
    }
