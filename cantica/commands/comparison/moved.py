"""The evaluation prompts whose scores changed most between two groups of runs. Pure."""

from dataclasses import dataclass
from typing import Any

from cantica.commands.comparison.crossed import averaged
from cantica.commands.comparison.revisions import Group, Revision
from cantica.reporting.measures import items


@dataclass(frozen=True)
class Side:
    """A run's responses to a prompt, each with its judgement by the rules."""

    run: str
    responses: list[dict[str, Any]]


@dataclass(frozen=True)
class Moved:
    """A prompt, the change of its mean score by the rules, and its responses before and after in pairs of runs."""

    id: str
    prompt: str
    kind: str
    change: float
    pairs: list[tuple[Side, Side]]


def moved(first: Group, second: Group, most: int) -> list[Moved]:
    """The prompts whose mean score changed most, at most so many.

    Each run of the second group is paired with the first group's run of the same seed, or else with its first run.
    """
    if not first.built or not second.built:
        return []
    before, after = averaged(_scores(first)), averaged(_scores(second))
    changes = {id_: after[id_] - before[id_] for id_ in after if id_ in before and after[id_] != before[id_]}
    found = []
    for id_ in sorted(changes, key=lambda id_: (-abs(changes[id_]), id_))[:most]:
        default = next(iter(first.built.values()))
        pairs = [(side(first.built.get(seed, default), id_), side(run, id_)) for seed, run in second.built.items()]
        kind = pairs[0][0].responses[0]["kind"]
        found.append(Moved(id_, default.asked.get(id_, id_), kind, changes[id_], pairs))
    return found


def _scores(group: Group) -> dict[str, dict[str, float]]:
    """{seed: {prompt: its mean score by the rules}} of the last arms of a group's runs."""
    judged = {seed: run.records["judgements"][run.arm] for seed, run in group.built.items() if run.records}
    return {seed: items(judgements, lambda judgement: judgement["score"]) for seed, judgements in judged.items()}


def side(run: Revision, id_: str) -> Side:
    """The last arm's responses to a prompt."""
    if not run.records:
        return Side(run.name, [])
    responses, judgements = run.records["responses"][run.arm], run.records["judgements"][run.arm]
    judged = {j["sample"]: j for j in judgements if j["id"] == id_}
    return Side(run.name, [{**r, **judged[r["sample"]]} for r in responses if r["id"] == id_])
