"""The capability items in `prompts/capability/`, with which every arm is tested."""

from pathlib import Path
from typing import TypeVar

from cantica.capability.arithmetic import make_items, template_faults
from cantica.core.documents import raise_any, read_yaml, repeated_ids, validate
from cantica.core.errors import InputError, Problem, did_you_mean
from cantica.core.patterns import pattern_faults

T = TypeVar("T")


def load_items(folder: Path, seed: int) -> dict[str, list[dict]]:
    """Return {kind: its items}. The seed decides the numbers in arithmetic. Raises InputError with the faults of all files."""
    items: dict[str, list[dict]] = {}
    problems: list[Problem] = []
    for kind, load in (
        ("multiple_choice", lambda: _multiple_choice(folder / "multiple_choice.yaml")),
        ("instructions", lambda: _instructions(folder / "instructions.yaml")),
        ("arithmetic", lambda: _arithmetic(folder / "arithmetic.yaml", seed)),
        ("log_likelihood", lambda: _passages(folder / "passages.yaml")),
    ):
        try:
            items[kind] = load()
        except InputError as error:
            problems.extend(error.problems)
    problems += repeated_ids([item for kind in items.values() for item in kind], folder)
    raise_any(problems)
    return items


def evenly(items: list[T], number: int) -> list[T]:
    """Return at most `number` of the items, evenly spaced, starting with the first."""
    number = min(number, len(items))
    return [items[place * len(items) // number] for place in range(number)]


def _multiple_choice(file: Path) -> list[dict]:
    document = read_yaml(file)
    validate(document, "multiple_choice", file)
    raise_any(
        [
            Problem(
                str(file),
                f"items.{number}.answer ({item['id']})",
                repr(item["answer"]),
                f"one of {', '.join(item['choices'])}",
                did_you_mean(item["answer"], item["choices"]),
            )
            for number, item in enumerate(document["items"])
            if item["answer"] not in item["choices"]
        ]
    )
    return document["items"]


def _instructions(file: Path) -> list[dict]:
    document = read_yaml(file)
    validate(document, "instructions", file)
    patterns = [
        (f"items.{number}.checks.{place} ({item['id']})", check[key])
        for number, item in enumerate(document["items"])
        for place, check in enumerate(item["checks"])
        for key in check.keys() & {"matches", "absent"}
    ]
    raise_any(pattern_faults(patterns, file))
    return document["items"]


def _arithmetic(file: Path, seed: int) -> list[dict]:
    document = read_yaml(file)
    validate(document, "arithmetic", file)
    templates = document["templates"]
    raise_any([p for n, t in enumerate(templates) for p in template_faults(t, str(file), f"templates.{n} ({t['id']})")])
    return [item for template in templates for item in make_items(template, seed)]


def _passages(file: Path) -> list[dict]:
    document = read_yaml(file)
    validate(document, "passages", file)
    return document["items"]
