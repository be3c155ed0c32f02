"""The rules of the rule-based judge: what `prompts/judge/rules.yaml` contains, checked as it is read."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from cantica.core.documents import raise_any, read_yaml, validate
from cantica.core.errors import Problem, did_you_mean
from cantica.core.patterns import pattern_faults

FLAGS = re.IGNORECASE  # of all patterns


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
    """All rules. kinds: {kind of evaluation prompt: {name: criterion}}. refusals: the pattern of a response that refuses."""

    kinds: dict[str, dict[str, Criterion]]
    flags: dict[str, Flag]
    refusals: Flag


def load_rules(file: Path) -> Rules:
    """Read the rules, check them against their schema, and compile every pattern. Raises InputError."""
    rules: Rules = read_yaml(file)
    validate(rules, "rules", file)
    for _, holder, key in _patterns(rules):
        holder[key] = _one_line(holder[key])
    raise_any(pattern_faults(((place, holder[key]) for place, holder, key in _patterns(rules)), file))
    return rules


def criteria_faults(rules: Rules, kinds: Iterable[str], file: Path) -> list[Problem]:
    """Return a Problem for each kind of evaluation prompt without criteria."""
    known = rules["kinds"]
    return [
        Problem(str(file), "kinds", ", ".join(known), f"criteria for the kind {kind!r} too", did_you_mean(kind, known))
        for kind in kinds
        if kind not in known
    ]


def _patterns(rules: Rules) -> Iterator[tuple[str, Any, str]]:
    """Yield (place in the file, mapping, key) of each pattern."""
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
    """Join a pattern that stands on several lines, without its line breaks and its indentation."""
    return "".join(map(str.strip, pattern.splitlines())) if "\n" in pattern else pattern
