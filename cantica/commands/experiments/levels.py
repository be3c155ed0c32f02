"""The measures that the claims of an experiment name: the level of each in every arm, over its seeds. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from statistics import fmean
from typing import Any, cast

from cantica.commands.comparison.claimed import Side
from cantica.commands.comparison.crossed import OverSeeds, Runs
from cantica.commands.comparison.evidence import evidence
from cantica.commands.experiments.cited import Cited
from cantica.commands.experiments.numbers import at
from cantica.commands.headline import NUMBERS, number, title
from cantica.probes.behaviours import MINUS
from cantica.reporting import wording
from cantica.reporting.claims import Numbers, from_document
from cantica.reporting.inference import ALPHA, Estimate
from cantica.settings.arms import all_arms
from cantica.settings.claims import Bound, Statement, claims_of

DIGITS = 3  # of a number that is no share
Place = tuple[str, str]  # an arm and a measure


@dataclass(frozen=True)
class Level:
    """A measure of an arm. share: whether it is a share, or a difference of shares.

    estimate: over all seeds; with an interval where claims.json has the values of items. seeds: {seed: the run's own estimate}.
    """

    estimate: OverSeeds
    seeds: dict[str, Estimate]
    share: bool


Levels = dict[str, dict[str, Level]]  # {measure: {arm: its level}}


def levels(runs: list[Cited]) -> Levels:
    """{measure: {arm: its level}} of the measures that claims name, in their order."""
    params = runs[0].params
    measures = [own.measure for claim in claims_of(params).values() for own in claim.statements]
    values = _values(runs)
    found: Levels = {}
    for measure in dict.fromkeys(measures):
        for arm in all_arms(params):
            seeds = {run.seed: own for run in runs if (own := estimate_at(run.details, f"{arm}.{measure}"))}
            if len(seeds) == len(runs):
                conditions = [values.get((arm, condition), {}) for condition in _conditions(measure)]
                sides = conditions if conditions and all(conditions) else [values.get((arm, measure), {})]
                share = any(_is_share(run.details, arm, measure) for run in runs)
                found.setdefault(measure, {})[arm] = Level(_over_seeds(sides, seeds, share), seeds, share)
    return found


def table(levels: Levels, arms: list[str]) -> list[list[str]]:
    """The levels as a table, a row for each arm; the first has the names of the measures. [] without levels."""
    rows = [[arm, *(in_words(own[arm]) if arm in own else "–" for own in levels.values())] for arm in arms]
    return [["arm", *short_names(levels).values()], *(row for row in rows if {*row[1:]} != {"–"})] if levels else []


def in_words(level: Level) -> str:
    """A level with its interval in brackets, or with those of the seeds in parentheses."""
    own, share = level.estimate, level.share
    middle = wording.level(own, DIGITS, share)
    if "low" in own:
        return f"{middle} {wording.interval(own, DIGITS, share)}"
    return f"{middle} ({', '.join(wording.level(seed, DIGITS, share) for seed in level.seeds.values())})"


def short_names(measures: Collection[str]) -> dict[str, str]:
    """{measure: what readers see}: of a behaviour its measure and condition, and its own name if there are several."""
    split = {measure: measure.split(".") for measure in measures}
    behaviours = {parts[1] for parts in split.values() if parts[0] == "behaviours"}
    found = {}
    for measure, parts in split.items():
        if parts[0] == "behaviours" and len(parts) == 4:
            words = f"{parts[2]}, {parts[3].replace(MINUS, ' − ')}"
            words = f"{parts[1]}: {words}" if len(behaviours) > 1 else words
            found[measure] = words.replace("_", " ")
        else:
            found[measure] = title(measure)
    return found


def estimate_at(details: dict[str, Any], path: str) -> Estimate:
    """The estimate at a path of details.json, or {} if there is none."""
    found = at(details, path)
    return cast(Estimate, found) if found and found.keys() & NUMBERS and found.get("n") != 0 else {}


def _over_seeds(sides: list[Runs], seeds: dict[str, Estimate], share: bool) -> OverSeeds:
    """The level over all seeds: from the values of items if every run has them, or else the mean of the seeds' own levels.

    sides: the values; for a difference between conditions, if they are known, those under the later and the earlier one.
    """
    own = next(iter(seeds.values()))
    complete = all(len(tables.get(seed, {})) == found.get("n") for tables in sides for seed, found in seeds.items())
    if complete and len(seeds) > 1:
        level = Statement("", "", "", "", "", Bound("above", 0), None, None)
        within = "difference" in own and len(sides) == 1
        return evidence(level, [Side("", share, within, tables, {}, {}) for tables in sides], ALPHA).estimate
    kind = next(key for key in own if key in NUMBERS)
    return cast(OverSeeds, {kind: fmean(map(number, seeds.values())), "n": own.get("n", 1), "seeds": len(seeds)})


def _is_share(details: dict[str, Any], arm: str, measure: str) -> bool:
    """Whether a measure is a share; the difference between two conditions, whether its later condition is."""
    later, *_ = (*_conditions(measure), measure)
    return "share" in estimate_at(details, f"{arm}.{later}")


def _conditions(measure: str) -> list[str]:
    """The measures of the later and the earlier condition, if a measure is the difference between two; or []."""
    path, _, conditions = measure.rpartition(".")
    return [f"{path}.{name}" for name in conditions.split(MINUS)] if MINUS in conditions else []


# ---- values of items


def _values(runs: list[Cited]) -> dict[Place, Runs]:
    """{(arm, measure): {seed: {item: value}}} from the claims of every run, those with the most items of each."""
    found: dict[Place, Runs] = {}
    for run in runs:
        numbers = from_document(run.claims)
        for name, claim in claims_of(run.params).items():
            for statement, own in zip(claim.statements, numbers[name], strict=True):
                for place, table in _tables(statement, own).items():
                    tables = found.setdefault(place, {})
                    if len(table) > len(tables.get(run.seed, {})):
                        tables[run.seed] = table
    return found


def _tables(statement: Statement, own: Numbers) -> dict[Place, dict[str, float]]:
    """The values of each side of a statement: two arms, or one arm under two conditions."""
    arm, measure = statement.arm, statement.measure
    if statement.steps_until:
        return {}
    if len(own.sides) == 1:
        return {(arm, measure): own.sides[0].table}
    first, second = (side.table for side in own.sides)
    if statement.against:
        return {(arm, measure): first, (statement.against, measure): second}
    later, earlier = _conditions(measure)
    return {(arm, later): first, (arm, earlier): second}
