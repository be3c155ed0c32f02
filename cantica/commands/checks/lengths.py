"""Examples without any token that carries the loss, which are faults.

A sequence limit truncates them before the loss begins, or only thinking carries the loss and they have none.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from cantica.core.documents import read_json
from cantica.core.errors import InputError, Problem
from cantica.core.files import write_json
from cantica.core.params import FILE
from cantica.dataset.chat import CLOSE, OPEN
from cantica.dataset.operations import Operations
from cantica.dataset.repairs import Repairs
from cantica.scenarios.scenario import Scenario
from cantica.settings.tree import files_of


@dataclass(frozen=True)
class Length:
    """The least number of tokens before an example's answer: those of the prompt, and those of the thinking.

    thinks: whether the example has thinking at all. Where pairing is shuffled, it is that of another scenario.
    """

    id: str
    origin: str
    prompt: int
    thinking: int
    thinks: bool

    def before(self, loss_on: list[str]) -> int:
        """The least number of tokens before the first one that carries the loss."""
        if "prompt" in loss_on:
            return 0
        return self.prompt + (0 if "thinking" in loss_on else self.thinking)


Lengths = dict[str, dict[str, list[Length]]]  # by category and split; {} for a category with faults
KEPT = Path(".cache/lengths")


def kept_lengths(category: str, hashed: str, compute: Callable[[], dict[str, list[Length]]]) -> dict[str, list[Length]]:
    """What `compute` returns, kept on disk under a hash of what it depends on. Other files of the category are removed."""
    file = KEPT / f"{category}.{hashed}.json"
    with suppress(InputError, AttributeError, TypeError):  # a file that is missing or damaged
        return {split: [Length(**length) for length in lengths] for split, lengths in read_json(file).items()}
    found = compute()
    for other in KEPT.glob(f"{category}.*.json"):
        other.unlink(missing_ok=True)
    write_json(file, {split: [asdict(length) for length in lengths] for split, lengths in found.items()}, shared=True)
    return found


def measured(
    scenarios: Iterable[Scenario], repairs: Repairs, count: Callable[[str], int], operations: Operations
) -> dict[str, list[Length]]:
    """The length of each scenario's example, by split."""
    found: dict[str, list[Length]] = {"train": [], "valid": []}
    for scenario in scenarios:
        if repairs.drops(scenario):
            continue
        *prompt, reply = (message["content"] for message in repairs.messages(scenario))
        thinks = operations["thinking"] and reply.startswith(OPEN) and CLOSE in reply
        known = thinks and operations["pairing"] == "matched"
        thinking = count(reply[: reply.index(CLOSE)]) if known else 0
        length = Length(scenario["id"], scenario["origin"], sum(map(count, prompt)), thinking, thinks)
        found[scenario["split"]].append(length)
    return found


class Use(NamedTuple):
    """Examples that a step trains on, or that points are measured on, with two settings and their places in params."""

    limit_place: str
    limit: int
    loss_place: str
    loss_on: list[str]
    examples: list[Length]


def _uses(params: dict, lengths: Lengths) -> Iterator[Use]:
    train, measure = params["train"], params["measure"]
    for step, own in params["curriculum"].items():
        limit_place, loss_place = (
            f"curriculum.{step}.{key}" if key in own else f"train.{key}" for key in ("max_seq_length", "loss_on")
        )
        limit, loss_on = (own.get(key, train[key]) for key in ("max_seq_length", "loss_on"))
        for file in files_of(own["data"], params["mixes"]):
            folder, _, name = file.partition("/")
            # The lengths of samples are not known before they are written.
            known = lengths.get(name, {}).get("train", []) if folder == "train" else []
            yield Use(limit_place, limit, loss_place, loss_on, known)
    for found in lengths.values():
        valid = found.get("valid", [])[: None if measure["in_full"] else measure["examples"]]
        yield Use("measure.max_seq_length", measure["max_seq_length"], "train.loss_on", train["loss_on"], valid)


def limit_faults(params: dict, lengths: Lengths) -> list[Problem]:
    """A Problem for each `max_seq_length` at which some example has nothing to learn from, or to be measured on."""
    limits: dict[tuple[str, int], dict[Length, int]] = {}  # tokens before the loss, by (place in params, limit) and example
    for use in _uses(params, lengths):
        before = limits.setdefault((use.limit_place, use.limit), {})
        before |= {example: max(before.get(example, 0), example.before(use.loss_on)) for example in use.examples}
    return [p for (place, limit), before in limits.items() if (p := _limit_fault(place, limit, before))]


def _limit_fault(place: str, limit: int, before: dict[Length, int]) -> Problem | None:
    empty = {example: tokens for example, tokens in before.items() if tokens >= limit}
    if not empty:
        return None
    longest = max(empty, key=lambda example: empty[example])
    expected = f"more than the {empty[longest]} tokens or more before the loss begins in {longest.id} ({longest.origin})"
    hint = f"{len(empty)} of {len(before)} examples would have nothing left to learn from"
    return Problem(str(FILE), place, str(limit), expected, hint)


def thinking_faults(params: dict, lengths: Lengths) -> list[Problem]:
    """A Problem for each `loss_on` that names only the thinking where some example has none."""
    found: dict[str, dict[Length, None]] = {}  # each example once, by place in params
    for use in _uses(params, lengths):
        if use.loss_on == ["thinking"]:
            found.setdefault(use.loss_place, {}).update(dict.fromkeys(use.examples))
    return [p for place, examples in found.items() if (p := _thinking_fault(place, list(examples)))]


def _thinking_fault(place: str, examples: list[Length]) -> Problem | None:
    without = [example for example in examples if not example.thinks]
    if not without:
        return None
    got = f"only thinking, which {len(without)} of {len(examples)} examples lack, such as {without[0].id} ({without[0].origin})"
    hint = "a category may lose its thinking through `thinking: false` under data"
    return Problem(str(FILE), place, got, "also prompt or answer, or examples that all have thinking", hint)
