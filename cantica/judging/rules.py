"""Read and check the rules of the rule-based judge, `prompts/judge/rules.yaml`."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from cantica.core.documents import raise_any, read_yaml, validate
from cantica.core.errors import Problem, did_you_mean
from cantica.core.patterns import pattern_faults

FLAGS = re.IGNORECASE  # the regular-expression flags of all patterns


class Rule(TypedDict):
    """A rule with its conditions, all of which must hold; schemas/rules.schema.json describes each."""

    reason: str
    markers: NotRequired[int]
    pattern: NotRequired[str]
    at_least: NotRequired[int]
    share: NotRequired[float]
    absent: NotRequired[str]
    up_to: NotRequired[float]
    unless: NotRequired[str]
    words: NotRequired[int]
    repeats: NotRequired[float]
    new_words: NotRequired[int]
    listed: NotRequired[float]


class Criterion(TypedDict):
    """A yes/no question about a response, and the rules that decide it."""

    title: str
    rules: list[Rule]


class Flag(TypedDict):
    """A pattern that raises a flag, unless `unless` matches in the same clause."""

    title: str
    pattern: str
    unless: NotRequired[str]


class Rules(TypedDict):
    """All rules. kinds: {kind of evaluation prompt: {name: criterion}}. refusals: the pattern that finds refusals."""

    kinds: dict[str, dict[str, Criterion]]
    flags: dict[str, Flag]
    refusals: Flag


def load_rules(file: Path) -> Rules:
    """Return the rules in a file, checked: they must fit their schema, and every pattern must compile. Raises InputError."""
    rules: Rules = read_yaml(file)
    validate(rules, "rules", file)
    for _, holder, key in _patterns(rules):
        holder[key] = _one_line(holder[key])
    raise_any(pattern_faults(((place, holder[key]) for place, holder, key in _patterns(rules)), file))
    return rules


def criteria_faults(rules: Rules, kinds: Iterable[str], file: Path) -> list[Problem]:
    """Return a Problem for each kind of evaluation prompt that has no criteria."""
    known = rules["kinds"]
    return [
        Problem(str(file), "kinds", ", ".join(known), f"criteria for the kind {kind!r} too", did_you_mean(kind, known))
        for kind in kinds
        if kind not in known
    ]


def _patterns(rules: Rules) -> Iterator[tuple[str, Any, str]]:
    """Yield (place in the file, mapping that contains the pattern, its key) for each pattern."""
    for kind, criteria in rules["kinds"].items():
        for name, criterion in criteria.items():
            for number, rule in enumerate(criterion["rules"]):
                for key in rule.keys() & {"pattern", "absent", "unless"}:
                    yield f"kinds.{kind}.{name}.rules.{number}.{key}", rule, key
    flags = {f"flags.{name}": flag for name, flag in rules["flags"].items()}
    for place, flag in (flags | {"refusals": rules["refusals"]}).items():
        for key in flag.keys() & {"pattern", "unless"}:
            yield f"{place}.{key}", flag, key


def _one_line(pattern: str) -> str:
    """Return a pattern with its lines joined, without line breaks and indentation."""
    return "".join(map(str.strip, pattern.splitlines())) if "\n" in pattern else pattern
