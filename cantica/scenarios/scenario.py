"""The record of a scenario: one line of `data/scenarios/<category>.jsonl`."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal, NotRequired, TypedDict, cast

from cantica.core.documents import faults, raise_any, validator
from cantica.core.errors import Problem
from cantica.dataset.chat import Message
from cantica.scenarios.places import block_line, values_text

Split = Literal["train", "valid"]
SPLITS: tuple[Split, ...] = ("train", "valid")
# The texts of a witnessed scenario, and those of a plain chat, of which the OPTIONAL ones may be left out.
BLOCKS = ("scenario", "reflection", "thinking", "answer")
PLAIN_BLOCKS = ("system", "prompt", "thinking", "answer")
OPTIONAL = ("system", "thinking")
Form = Literal["witnessed", "plain"]
MOST_PROBLEMS = 20  # in one error


class Counts(TypedDict):
    """How many scenarios each split of a category has."""

    train: int
    valid: int


class Scenario(TypedDict):
    """A rendered scenario with the texts of its blocks, or an imported one with its messages. `origin`: where it comes from."""

    id: str
    category: str
    split: Split
    origin: str
    scenario: NotRequired[str]
    reflection: NotRequired[str]
    system: NotRequired[str]
    prompt: NotRequired[str]
    thinking: NotRequired[str]
    answer: NotRequired[str]
    messages: NotRequired[list[Message]]


def scenario_of_texts(category: str, split: Split, number: int, origin: str, texts: dict[str, str]) -> Scenario:
    """Return a scenario with the texts of its blocks. number: its place in the split, from 1."""
    blocks = PLAIN_BLOCKS if "prompt" in texts else BLOCKS
    about = {"id": _id(category, split, number), "category": category, "split": split, "origin": origin}
    return cast(Scenario, about | {block: texts[block] for block in blocks if block in texts})


def scenario_of_messages(category: str, split: Split, number: int, origin: str, messages: list[Message]) -> Scenario:
    """Return an imported scenario. number: its place in the split, from 1."""
    return {
        "id": _id(category, split, number),
        "category": category,
        "split": split,
        "origin": origin,
        "messages": messages,
    }


def _id(category: str, split: Split, number: int) -> str:
    return f"{category}-{split}-{number:03}"


def valid_scenarios(records: Iterable[Scenario]) -> Iterator[Scenario]:
    """Yield the scenarios; after the last one, raise InputError if any was invalid.

    A fault is reported once for each template and block, with the lines of the first scenario that has it.
    """
    check = validator("scenario")
    found: dict[tuple[str, str], list[tuple[Problem, Scenario]]] = {}
    for record in records:
        if len(found) < MOST_PROBLEMS:
            file = record["origin"].partition(": ")[0]  # without the slot values
            for fault in faults(record, check, file):
                found.setdefault((fault.file, fault.place), []).append((fault, record))
        yield record
    raise_any([_located(*same[0], len(same)) for same in found.values()])


def _located(fault: Problem, record: Scenario, count: int) -> Problem:
    """Return a fault with its line in the template and those of the slot values. count: number of scenarios that have it."""
    line = block_line(Path(fault.file), fault.place)
    place = f"{f'line {line}, ' if line else ''}block {fault.place}, as {record['id']}"
    more = f"the first of {count} scenarios with this fault" if count > 1 else ""
    return replace(fault, place=place, hint="; ".join(filter(None, [values_text(record["origin"]), more])))
