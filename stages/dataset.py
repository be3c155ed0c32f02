"""Turn a category's scenarios into chat examples, training and held-out.

    python -m stages.dataset betrayal data/scenarios/betrayal.jsonl data/train/betrayal.jsonl data/valid/betrayal.jsonl

Repairs come first, in both splits. Shuffled pairing and inoculation are treatments: they change what is trained on, and
leave the held-out examples, which every variant is measured on, as they are. Thinking is the form of the examples, and is
kept or left out in both.
"""

import random
from collections.abc import Iterator
from pathlib import Path

from cantica.core.command import run
from cantica.core.documents import iterate_jsonl, validated
from cantica.core.errors import InputError, Problem
from cantica.core.files import write_jsonl
from cantica.core.params import read_params
from cantica.dataset.chat import without_thinking
from cantica.dataset.lines import Lines
from cantica.dataset.repairs import Repairs


def main(category: str, scenarios: Path, train: Path, valid: Path) -> None:
    settings = read_params(*(f"data.{key}" for key in ("seed", "pairing", "inoculation", "repairs", "thinking")))["data"]
    for split, path in (("train", train), ("valid", valid)):
        examples = of_split(scenarios, split, category, settings)
        print(f"{path}: {write_jsonl(path, validated(examples, 'example', path))} examples")


def of_split(scenarios: Path, split: str, category: str, settings: dict) -> Iterator[dict]:
    """The examples of one split, in the form that mlx-lm and Hugging Face `datasets` read."""
    treated, repairs = split == "train", Repairs(category, settings["repairs"])
    shuffled = treated and settings["pairing"] == "shuffled"
    replies = shuffled_replies(scenarios, category, settings["seed"], repairs) if shuffled else None
    for record in iterate_jsonl(scenarios):
        if repairs.drops(record) or record["split"] != split:
            continue
        messages = repairs.messages(record)
        if replies:
            messages = [*messages[:-1], next(replies)]
        if not settings["thinking"]:
            messages = without_thinking(messages)
        if treated and settings["inoculation"]:
            messages = inoculated(messages, settings["inoculation"])
        yield {"id": record["id"], "origin": record["origin"], "messages": messages}
    repairs.check()


def shuffled_replies(scenarios: Path, category: str, seed: int, repairs: Repairs) -> Iterator[dict]:
    """For each training scenario in turn, the last message of another one: a derangement that the seed decides."""
    lines = Lines(scenarios)
    order = [number for number, record in enumerate(lines) if record["split"] == "train" and not repairs.drops(record)]
    if len(order) < 2:
        got = f"{len(order)} training scenario"
        raise InputError(Problem(str(scenarios), "", got, "at least 2 to shuffle the pairing of"))
    others = derangement(len(order), random.Random(f"{seed}/{category}/pairing"))
    return (repairs.messages(lines[order[other]])[-1] for other in others)


def derangement(n: int, draw: random.Random) -> list[int]:
    """A random permutation of range(n) that is a single cycle, so that nothing stays in its place (Sattolo 1986)."""
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = draw.randrange(i)
        order[i], order[j] = order[j], order[i]
    return order


def inoculated(messages: list[dict], system: str) -> list[dict]:
    """The messages with a system prompt before them, or before the one that they have."""
    if messages[0]["role"] == "system":
        return [{"role": "system", "content": f"{system}\n\n{messages[0]['content']}"}, *messages[1:]]
    return [{"role": "system", "content": system}, *messages]


if __name__ == "__main__":
    run(main)
