"""The numbers of claims in one run, and their form in reports/claims.json. Pure.

One run decides nothing. `cantica compare` decides claims over the runs of several seeds, from these numbers.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import combinations
from statistics import fmean
from typing import Any, cast

from cantica.judging.rules import Rules
from cantica.probes.behaviours import MINUS
from cantica.reporting.endings import Ending, counts, of_items
from cantica.reporting.inference import Estimate, Resampling, paired
from cantica.reporting.judges import flag_measures, pairwise, preference_measures
from cantica.reporting.losses import chain_measures
from cantica.reporting.measures import Measure, Table
from cantica.reporting.probes import checkpoint_measures
from cantica.reporting.records import Records
from cantica.reporting.results import WHOLE, all_measures
from cantica.reporting.rows import level, rounded_numbers
from cantica.settings.arms import all_arms, with_losses
from cantica.settings.claims import Bound, Claim, Statement, claims_of
from cantica.settings.measures import Unit

Curve = list[tuple[int, float]]  # (iteration, level), in order of iterations
Measures = dict[str, Measure]  # by their path under an arm in details.json

ESTIMATE = ("mean", "share", "difference", "low", "high", "p", "n")  # the keys of an estimate that claims.json has
ENDINGS = ("truncated", "unfinished")
DIGITS = 6  # of the values of items


@dataclass(frozen=True)
class Side:
    """An arm, or an arm under one condition, as one side of a statement.

    table: {item: value}; {} for `steps_until`. curve: with `steps_until`, the level of the measure at each kept checkpoint of
    the arm's step and at its end. ended: how the answers behind its values ended, as {"truncated": 3, "unfinished": 0, "of":
    60}. A kind is left out if it has no meaning for the measure, or is not known of both sides.
    """

    table: Table = field(default_factory=dict)
    curve: Curve = field(default_factory=list)
    ended: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Numbers:
    """The numbers of one statement in one run.

    unit: of the values. sides: the arm, and then the arm that it is compared with, if that is in the same run; for the
    difference between two conditions, the arm under the later and under the earlier one. Both have the same items. estimate: of
    the level or of the difference; {} for `steps_until`. steps: for `steps_until`, the number of iterations, or the difference
    between those of the two sides.
    """

    unit: Unit
    sides: tuple[Side, ...]
    estimate: Estimate = field(default_factory=Estimate)
    steps: int | None = None


def claims_of_build(names: list[str], records: Records, params: dict[str, Any], rules: Rules) -> dict[str, list[Numbers]]:
    """Return the numbers of each claim of a build. names: of the claims, in their order."""
    claims = claims_of(params)
    checkpoints = checkpoint_measures(records["probes"], records["behaviours"], params)
    curves = {arm: by_path(measures) for arm, measures in checkpoints.items()}
    return claim_numbers([claims[name] for name in names], by_path(claimable(records, params, rules)), curves, params["report"])


def claimable(records: Records, params: dict[str, Any], rules: Rules) -> list[Measure]:
    """Return every measure that a claim may be about; `settings.measures` lists them without their values."""
    chains = chain_measures(records["losses"], with_losses(params), params["curriculum"])
    return [
        *all_measures(records, params, rules),
        *(replace(chain, groups={item: item for table in chain.tables.values() for item in table}) for chain in chains),
        *flag_measures(records["judgements"], list(rules["flags"])),
        *_preferences(records, params),
    ]


def _preferences(records: Records, params: dict[str, Any]) -> list[Measure]:
    """Return how often each pairwise judge prefers the later arms to an earlier one, as one measure for each earlier arm."""
    found: dict[str, Measure] = {}
    verdicts = pairwise(records["verdicts"], params["judges"])
    for first, second in combinations(all_arms(params), 2):
        for one in preference_measures(verdicts, first, second):
            key = f"against_{first}.{one.key}"
            other = found.get(key, one)
            found[key] = replace(one, key=key, tables=other.tables | one.tables, groups=other.groups | one.groups)
    return list(found.values())


def claim_numbers(
    claims: Iterable[Claim], measures: Measures, checkpoints: dict[str, Measures], resampling: Resampling
) -> dict[str, list[Numbers]]:
    """Return {claim: the numbers of each of its statements}.

    checkpoints: for each arm with checkpoints, its measures there; their tables are by iteration instead of by arm.
    """
    return {
        claim.name: [
            _steps(own, checkpoints) if own.steps_until else _estimated(own, measures[own.measure], resampling)
            for own in claim.statements
        ]
        for claim in claims
    }


def by_path(measures: Iterable[Measure]) -> Measures:
    """Return each measure for all items and, as a measure of its own, for each of its groups."""
    found: Measures = {}
    for measure in measures:
        whole = ".".join(filter(None, (measure.key, WHOLE.get(measure.key))))
        found[whole] = measure
        for group in dict.fromkeys(measure.groups.values()):
            tables = {arm: measure.by_group(arm).get(group, {}) for arm in measure.tables}
            found[f"{measure.key}.{group}"] = replace(measure, tables=tables, groups={})
    return found


def _estimated(own: Statement, measure: Measure, resampling: Resampling) -> Numbers:
    """Return the level of an arm, or the difference of two arms or conditions on the items that both have.

    p is not adjusted: a claim names its group of items in advance.
    """
    compared = [(measure, own.arm), (measure, own.against)] if own.against else [(measure, own.arm)]
    if measure.conditions and not own.against:
        compared = [(condition, own.arm) for condition in measure.conditions]
    tables = [of.tables.get(arm, {}) for of, arm in compared]
    items = [item for item in tables[0] if all(item in table for table in tables)]
    tables = [{item: table[item] for item in items} for table in tables]
    estimate = paired(tables[1], tables[0], **resampling) if len(tables) > 1 else level(measure, tables[0], resampling)
    ended = _endings([of_items(of.endings.get(arm, []), items) for of, arm in compared])
    values = [{item: round(value, DIGITS) for item, value in table.items()} for table in tables]
    sides = [Side(table, ended=counted) for table, counted in zip(values, ended, strict=True)]
    written = {key: value for key, value in rounded_numbers(estimate).items() if key in ESTIMATE}
    return Numbers(measure.unit, tuple(sides), cast(Estimate, written))


def side_names(own: Statement) -> list[str]:
    """Return the names of the two sides of a statement in one run: two arms, or two conditions of a behaviour."""
    return [own.arm, own.against] if own.against else own.measure.rpartition(".")[2].split(MINUS)


def _endings(sides: list[list[Ending]]) -> list[dict[str, int]]:
    """Return how many answers of each side ended in which way, for the kinds that are known of all sides."""
    counted = [counts(answers) for answers in sides]
    kinds = [kind for kind in ENDINGS if all(kind in found for found in counted)]
    return [
        {kind: found[kind] for kind in kinds} | ({"of": len(answers)} if kinds else {})
        for found, answers in zip(counted, sides, strict=True)
    ]


# ---- how long it takes until a measure passes a bound


def _steps(own: Statement, checkpoints: dict[str, Measures]) -> Numbers:
    """Return the iterations until a measure of an arm passes a bound, or their difference from those of another arm."""
    sides = tuple(Side(curve=curve(checkpoints[arm][own.measure])) for arm in (own.arm, own.against) if arm)
    steps = [steps_until(side.curve, cast(Bound, own.steps_until)) for side in sides]
    return Numbers("iterations", sides, steps=steps[0] - steps[1] if own.against else steps[0])


def curve(measure: Measure) -> Curve:
    """Return the levels of a measure whose tables are by iteration."""
    levels = {int(iteration): fmean(table.values()) for iteration, table in measure.tables.items() if table}
    return [(iteration, round(levels[iteration], 4)) for iteration in sorted(levels)]


def steps_until(curve: Curve, bound: Bound) -> int:
    """Return the first iteration at which a curve is beyond a bound; its last iteration if it never is."""
    return next((iteration for iteration, value in curve if bound.holds(value)), curve[-1][0])


# ---- the form in reports/claims.json


def as_document(numbers: dict[str, list[Numbers]]) -> dict[str, Any]:
    """Return the content of reports/claims.json. The statements of a claim with several are numbered from 1."""
    records = {claim: [_as_record(own) for own in found] for claim, found in numbers.items()}
    return {
        claim: found[0] if len(found) == 1 else {str(number): record for number, record in enumerate(found, 1)}
        for claim, found in records.items()
    }


def from_document(document: dict[str, Any]) -> dict[str, list[Numbers]]:
    """Return the numbers in reports/claims.json."""
    return {
        claim: [_from_record(record) for record in (found.values() if "1" in found else [found])]
        for claim, found in document.items()
    }


def _as_record(numbers: Numbers) -> dict[str, Any]:
    by_steps = numbers.steps is not None
    own, *others = [_pairs(side.curve) if by_steps else list(side.table.values()) for side in numbers.sides]
    if by_steps:
        record: dict[str, Any] = {"difference" if others else "iterations": numbers.steps, "curve": own}
    else:
        record = {**numbers.estimate, "items": list(numbers.sides[0].table), "values": own}
    if others:
        record["against"] = others[0]
    record["unit"] = numbers.unit
    if ended := [side.ended for side in numbers.sides if side.ended]:
        record["endings"] = {kind: [counted[kind] for counted in ended] for kind in ended[0]}
    return record


def _from_record(record: dict[str, Any]) -> Numbers:
    others = [record["against"]] if "against" in record else []
    if "curve" in record:
        curves = [[(iteration, value) for iteration, value in own] for own in (record["curve"], *others)]
        sides = tuple(Side(curve=own) for own in curves)
        return Numbers(record["unit"], sides, steps=record["difference" if others else "iterations"])
    endings: dict[str, list[int]] = record.get("endings", {})
    sides = tuple(
        Side(dict(zip(record["items"], values, strict=True)), ended={kind: found[n] for kind, found in endings.items()})
        for n, values in enumerate((record["values"], *others))
    )
    return Numbers(record["unit"], sides, cast(Estimate, {key: record[key] for key in ESTIMATE if key in record}))


def _pairs(curve: Curve) -> list[list[float]]:
    return [list(point) for point in curve]
