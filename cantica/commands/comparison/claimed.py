"""What the runs of variants measured of a statement, from their params.yaml and reports/claims.json. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from cantica.commands.comparison.crossed import Runs
from cantica.reporting.claims import Curve, Numbers, side_names
from cantica.reporting.claims import Side as InRun
from cantica.settings.claims import Claim, Statement


@dataclass(frozen=True)
class Run:
    """A finished run: the claims of its params.yaml, and the numbers of its reports/claims.json."""

    claims: dict[str, Claim]
    numbers: dict[str, list[Numbers]]


@dataclass(frozen=True)
class Variant:
    """The runs of a variant, by seed, and the claims that they decide."""

    claims: dict[str, Claim]
    runs: dict[str, Run]


Variants = Mapping[str, Variant]  # by name


@dataclass(frozen=True)
class Side:
    """One side of a statement: an arm in the runs of a variant, or an arm under one condition.

    share: whether the measure is one. difference: whether values are already differences. tables: {seed: {item: value}}; {} for
    `steps_until`. curves: {seed: curve}, for `steps_until`. ended: how the answers of all runs ended, as in
    `reporting.claims.Side`.
    """

    name: str
    share: bool
    difference: bool
    tables: Runs
    curves: dict[str, Curve]
    ended: dict[str, int]


def sides_of(own: Statement, name: str, variants: Variants) -> tuple[list[Side], list[str]]:
    """Return the sides of a statement of variant `name`, and a sentence for everything that is missing; then there are none.

    A difference has two sides: the arm, and what it is compared with. A measure that is the difference between two conditions
    has two as well, unless the arm is compared.
    """
    found, missing = _numbers(own, name, own.against, variants)
    others: dict[str, Numbers] = {}
    if own.variant:
        others, lacking = _numbers(own, own.variant, "", variants)
        missing = missing + lacking
    if missing:
        return [], missing
    if own.variant:
        return [_side(name, _alone(found)), _side(own.variant, _alone(others))], []
    if all(len(numbers.sides) > 1 for numbers in found.values()):
        return [_side(side, found, place) for place, side in enumerate(side_names(own))], []
    return [_side(own.arm, _alone(found))], []


def _numbers(own: Statement, variant: str, against: str, variants: Variants) -> tuple[dict[str, Numbers], list[str]]:
    """Return {seed: numbers} of a statement in the runs of a variant, and a sentence for each run that has none.

    against: the arm that the numbers must be compared with. With "" those that are compared with none come first: of a
    difference between two arms, the first side has only the items that both arms have.
    """
    runs = variants[variant].runs if variant in variants else {}
    subject = _subject(own, against)
    found: dict[str, Numbers] = {}
    missing = [] if runs else [f"there is no finished run of {variant}"]
    for seed, run in sorted(runs.items()):
        fitting = [numbers for _, numbers in sorted(_fitting(own, run, against), key=lambda found: found[0])]
        with_values = [numbers for numbers in fitting if any(side.table or side.curve for side in numbers.sides)]
        if with_values:
            found[seed] = with_values[0]
        elif fitting:
            missing.append(f"reports/claims.json of {variant}, seed {seed}, has no values of {subject}")
        else:
            missing.append(f"the run of {variant} with seed {seed} has no numbers for a claim on {subject}")
    return found, missing


def _fitting(own: Statement, run: Run, against: str) -> Iterator[tuple[int, Numbers]]:
    """Yield the numbers of each statement of a run on the same measure and arm, whatever its name and bound.

    With each comes its rank: 0 for the very statement, 1 for another that compares the same, 2 for the first side of another
    difference.
    """
    for claim in run.claims.values():
        for other, numbers in zip(claim.statements, run.numbers.get(claim.name, []), strict=False):
            if (other.measure, other.arm, other.steps_until) != (own.measure, own.arm, own.steps_until):
                continue
            if other.against == against:
                yield int(other.place != own.place), numbers
            elif not against:
                yield 2, Numbers(numbers.unit, numbers.sides[:1])


def _subject(own: Statement, against: str) -> str:
    """Return what a statement is about, in words."""
    until = f" until {own.steps_until.direction} {own.steps_until.value:g}" if own.steps_until else ""
    return f"{own.measure}{until} of the arm {own.arm}" + (f" against {against}" if against else "")


def _alone(found: dict[str, Numbers]) -> dict[str, Numbers]:
    """Return numbers with one side: of the difference between two conditions, the values are the differences."""
    return {seed: replace(own, sides=(_differences(*own.sides),)) if len(own.sides) > 1 else own for seed, own in found.items()}


def _differences(later: InRun, earlier: InRun) -> InRun:
    return InRun({item: value - earlier.table[item] for item, value in later.table.items()})


def _side(name: str, numbers: dict[str, Numbers], place: int = 0) -> Side:
    """Return the first or second side of the numbers of all runs."""
    sides = {seed: own.sides[place] for seed, own in numbers.items()}
    kinds = set.intersection(*(set(side.ended) for side in sides.values()))
    ended = {kind: sum(side.ended[kind] for side in sides.values()) for kind in sorted(kinds)}
    tables = {seed: side.table for seed, side in sides.items() if side.table}
    curves = {seed: side.curve for seed, side in sides.items() if side.curve}
    share = all(own.unit == "share" for own in numbers.values())
    difference = any("difference" in own.estimate and len(own.sides) == 1 for own in numbers.values())
    return Side(name, share, difference, tables, curves, ended)
