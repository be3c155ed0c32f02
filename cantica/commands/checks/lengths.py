"""Sequence limits against the examples that they truncate: an example without any token that carries the loss is a fault."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cantica.core.errors import Problem
from cantica.core.params import FILE
from cantica.dataset.chat import CLOSE, OPEN, chat_of
from cantica.scenarios.scenario import Scenario
from cantica.settings.tree import files_of


@dataclass(frozen=True)
class Length:
    """The least number of tokens before an example's answer: those of the prompt, and those of the thinking."""

    id: str
    origin: str
    prompt: int
    thinking: int

    def before(self, loss_on: list[str]) -> int:
        """The least number of tokens before the first one that carries the loss."""
        if "prompt" in loss_on:
            return 0
        return self.prompt + (0 if "thinking" in loss_on else self.thinking)


Lengths = dict[str, dict[str, list[Length]]]  # by category and split; {} for a category with faults


def measured(scenarios: Iterable[Scenario], count: Callable[[str], int], thinking: bool) -> dict[str, list[Length]]:
    """The length of each scenario's example, by split. thinking: whether the example keeps it."""
    found: dict[str, list[Length]] = {"train": [], "valid": []}
    for scenario in scenarios:
        *prompt, reply = (message["content"] for message in chat_of(scenario))
        thought = reply[: reply.index(CLOSE)] if thinking and reply.startswith(OPEN) and CLOSE in reply else ""
        length = Length(scenario["id"], scenario["origin"], sum(map(count, prompt)), count(thought) if thought else 0)
        found[scenario["split"]].append(length)
    return found


def limit_faults(params: dict, lengths: Lengths) -> list[Problem]:
    """A Problem for each `max_seq_length` at which some example has nothing to learn from, or to be measured on."""
    train, measure = params["train"], params["measure"]
    limits: dict[tuple[str, int], dict[Length, int]] = {}  # tokens before the loss, by (place in params, limit) and example

    def add(place: str, limit: int, loss_on: list[str], examples: list[Length]) -> None:
        before = limits.setdefault((place, limit), {})
        before |= {example: max(before.get(example, 0), example.before(loss_on)) for example in examples}

    for step, own in params["curriculum"].items():
        place = f"curriculum.{step}" if "max_seq_length" in own else "train"
        for file in files_of(own["data"], params["mixes"]):
            folder, _, name = file.partition("/")
            limit, loss_on = (own.get(key, train[key]) for key in ("max_seq_length", "loss_on"))
            # The lengths of samples are not known before they are written.
            known = lengths.get(name, {}).get("train", []) if folder == "train" else []
            add(f"{place}.max_seq_length", limit, loss_on, known)
    for found in lengths.values():
        valid = found.get("valid", [])[: measure["examples"]]
        add("measure.max_seq_length", measure["max_seq_length"], train["loss_on"], valid)
    return [p for (place, limit), before in limits.items() if (p := _fault(place, limit, before))]


def _fault(place: str, limit: int, before: dict[Length, int]) -> Problem | None:
    empty = {example: tokens for example, tokens in before.items() if tokens >= limit}
    if not empty:
        return None
    longest = max(empty, key=lambda example: empty[example])
    expected = f"more than the {empty[longest]} tokens or more before the loss begins in {longest.id} ({longest.origin})"
    hint = f"{len(empty)} of {len(before)} examples would have nothing left to learn from"
    return Problem(str(FILE), place, str(limit), expected, hint)
