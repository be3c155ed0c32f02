"""What the runs of variants measured of a statement, from their params.yaml and reports/claims.json. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cantica.commands.comparison.crossed import Runs
from cantica.reporting.claims import Curve, Numbers
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
    """One side of a statement: an arm in the runs of a variant.

    share: whether the measure is one. tables: {seed: {item: value}}; {} for `steps_until`. curves: {seed: curve}, for
    `steps_until`. ended: how the answers of all runs ended, as in `reporting.claims.Side`.
    """

    name: str
    share: bool
    tables: Runs
    curves: dict[str, Curve]
    ended: dict[str, int]


def sides_of(own: Statement, name: str, variants: Variants) -> tuple[list[Side], list[str]]:
    """Return the sides of a statement of variant `name`, and a sentence for everything that is missing; then there are none.

    A difference has two sides: the arm, and what it is compared with.
    """
    found, missing = _numbers(own, name, own.against, variants)
    others: dict[str, Numbers] = {}
    if own.variant:
        others, lacking = _numbers(own, own.variant, "", variants)
        missing = missing + lacking
    if missing:
        return [], missing
    if own.variant:
        return [_side(name, found, 0), _side(own.variant, others, 0)], []
    return [_side(arm, found, place) for place, arm in enumerate(filter(None, (own.arm, own.against)))], []


def _numbers(own: Statement, variant: str, against: str, variants: Variants) -> tuple[dict[str, Numbers], list[str]]:
    """Return {seed: numbers} of a statement in the runs of a variant, and a sentence for each run that has none.

    against: the arm that the numbers must be compared with; with "" any will do, since the first side is the same.
    """
    runs = variants[variant].runs if variant in variants else {}
    subject = _subject(own, against)
    found: dict[str, Numbers] = {}
    missing = [] if runs else [f"there is no finished run of {variant}"]
    for seed, run in sorted(runs.items()):
        fitting = [numbers for other, numbers in _fitting(own, run) if not against or other.against == against]
        with_values = [numbers for numbers in fitting if any(side.table or side.curve for side in numbers.sides)]
        if with_values:
            found[seed] = with_values[0]
        elif fitting:
            missing.append(f"reports/claims.json of {variant}, seed {seed}, has no values of {subject}")
        else:
            missing.append(f"the run of {variant} with seed {seed} has no numbers for a claim on {subject}")
    return found, missing


def _fitting(own: Statement, run: Run) -> Iterator[tuple[Statement, Numbers]]:
    """Yield each statement of a run on the same measure and arm, whatever its name and bound, with its numbers."""
    for claim in run.claims.values():
        for other, numbers in zip(claim.statements, run.numbers.get(claim.name, []), strict=False):
            if (other.measure, other.arm, other.steps_until) == (own.measure, own.arm, own.steps_until):
                yield other, numbers


def _subject(own: Statement, against: str) -> str:
    """Return what a statement is about, in words."""
    until = f" until {own.steps_until.direction} {own.steps_until.value:g}" if own.steps_until else ""
    return f"{own.measure}{until} of the arm {own.arm}" + (f" against {against}" if against else "")


def _side(name: str, numbers: dict[str, Numbers], place: int) -> Side:
    """Return the first or second side of the numbers of all runs."""
    sides = {seed: own.sides[place] for seed, own in numbers.items()}
    kinds = set.intersection(*(set(side.ended) for side in sides.values()))
    ended = {kind: sum(side.ended[kind] for side in sides.values()) for kind in sorted(kinds)}
    tables = {seed: side.table for seed, side in sides.items() if side.table}
    curves = {seed: side.curve for seed, side in sides.items() if side.curve}
    return Side(name, all(own.unit == "share" for own in numbers.values()), tables, curves, ended)
