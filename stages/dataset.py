"""Turn a category's scenarios into chat examples, for training and for validation.

    python -m stages.dataset betrayal data/scenarios/betrayal.jsonl data/train/betrayal.jsonl data/valid/betrayal.jsonl

Repairs come first. `thinking` decides whether examples keep the assistant's thinking. Both apply to both splits. Shuffled
pairing and the system prompt apply only to training examples, so every variant is measured on the same validation examples.
The last three can be set for one category under `data.categories`.
"""

import random
from collections.abc import Iterator
from pathlib import Path

from cantica.core.command import run
from cantica.core.documents import iterate_jsonl, validated
from cantica.core.errors import InputError, Problem
from cantica.core.files import write_jsonl
from cantica.core.params import read_params
from cantica.dataset.chat import Example, Message, with_system, without_thinking
from cantica.dataset.lines import Lines
from cantica.dataset.operations import operations_of
from cantica.dataset.repairs import Repairs


def main(category: str, scenarios: Path, train: Path, valid: Path) -> None:
    settings = read_params(*(f"data.{key}" for key in ("categories", "pairing", "repairs", "seed", "system", "thinking")))[
        "data"
    ]
    for split, path in (("train", train), ("valid", valid)):
        examples = examples_of(scenarios, split, category, settings)
        print(f"{path}: {write_jsonl(path, validated(examples, 'example', path))} examples")


def examples_of(scenarios: Path, split: str, category: str, settings: dict) -> Iterator[Example]:
    """Yield the examples of one split. settings: the section `data` of params."""
    training, operations, repairs = split == "train", operations_of(category, settings), Repairs(category, settings["repairs"])
    answers: Iterator[Message] | None = None
    if training and operations["pairing"] == "shuffled":
        answers = shuffled_answers(scenarios, category, settings["seed"], repairs)
    for record in iterate_jsonl(scenarios):
        if repairs.drops(record) or record["split"] != split:
            continue
        messages = repairs.messages(record)
        if answers:
            messages = [*messages[:-1], next(answers)]
        if not operations["thinking"]:
            messages = without_thinking(messages)
        if training:
            messages = with_system(messages, operations["system"])
        yield {"id": record["id"], "origin": record["origin"], "messages": messages}
    repairs.check()


def shuffled_answers(scenarios: Path, category: str, seed: int, repairs: Repairs) -> Iterator[Message]:
    """Yield, for each training scenario in order, the last message of another one, chosen by the seed."""
    lines = Lines(scenarios)
    numbers = [number for number, record in enumerate(lines) if record["split"] == "train" and not repairs.drops(record)]
    if len(numbers) == 1:
        raise InputError(Problem(str(scenarios), "", "1 training scenario", "at least 2, to shuffle their pairing"))
    others = derangement(len(numbers), random.Random(f"{seed}/{category}/pairing"))
    return (repairs.messages(lines[numbers[other]])[-1] for other in others)


def derangement(n: int, rng: random.Random) -> list[int]:
    """Return a random permutation of range(n) that is a single cycle, so that no element keeps its place (Sattolo 1986)."""
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = rng.randrange(i)
        order[i], order[j] = order[j], order[i]
    return order


if __name__ == "__main__":
    run(main)
