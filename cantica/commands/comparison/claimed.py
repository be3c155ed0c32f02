"""What the runs of variants measured of a statement, from their params.yaml and reports/claims.json. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cantica.commands.comparison.crossed import Runs
from cantica.commands.comparison.steps_until import Curve
from cantica.settings.claims import Claim, Statement


@dataclass(frozen=True)
class Run:
    """A finished run: the claims of its params.yaml, and the numbers of its reports/claims.json."""

    claims: dict[str, Claim]
    numbers: dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """The runs of a variant, by seed, and the claims that they decide. shares: the measures whose levels are from 0 to 1."""

    claims: dict[str, Claim]
    runs: dict[str, Run]
    shares: frozenset[str]


Variants = Mapping[str, Variant]  # by name


@dataclass(frozen=True)
class Side:
    """One side of a statement: an arm in the runs of a variant.

    tables: {seed: {item: value}}. curves: {seed: curve}, for `steps_until`. endings: how answers ended, over all runs:
    {"truncated": count, "unfinished": count, "of": answers}.
    """

    name: str
    tables: Runs
    curves: dict[str, Curve]
    endings: dict[str, int]


def sides_of(own: Statement, name: str, variants: Variants) -> tuple[list[Side], list[str]]:
    """Return the sides of a statement of variant `name`, and a sentence for everything that is missing. Sides are complete.

    A difference has two sides: the arm, and what it is compared with.
    """
    entries, missing = _entries(own, name, own.against, variants)
    if own.variant:
        others, lacking = _entries(own, own.variant, "", variants)
        if missing or lacking:
            return [], missing + lacking
        return [_side(name, entries, 0), _side(own.variant, others, 0)], []
    if missing:
        return [], missing
    return [_side(own.arm, entries, 0)] + ([_side(own.against, entries, 1)] if own.against else []), []


def _entries(own: Statement, variant: str, against: str, variants: Variants) -> tuple[dict[str, Any], list[str]]:
    """Return {seed: numbers} of a statement in the runs of a variant, and a sentence for each run that has none."""
    runs = variants[variant].runs if variant in variants else {}
    found, missing = {}, [] if runs else [f"there is no finished run of {variant}"]
    for seed, run in sorted(runs.items()):
        fitting = [entry for entry, other in _fitting(own, run) if other == against or not against]
        whole = [entry for entry in fitting if _complete(entry, own, against)]
        if whole:
            found[seed] = whole[0]
        elif fitting:
            missing.append(f"reports/claims.json of {variant}, seed {seed}, has no values of {_subject(own, against)}")
        else:
            missing.append(f"the run of {variant} with seed {seed} has no claim on {_subject(own, against)}")
    return found, missing


def _fitting(own: Statement, run: Run) -> Iterator[tuple[Any, str]]:
    """Yield (numbers, arm that it is compared with) for each statement of a run on the same measure and arm."""
    for claim in run.claims.values():
        for n, other in enumerate(claim.statements, 1):
            if (other.measure, other.arm, other.steps_until) == (own.measure, own.arm, own.steps_until):
                numbers = run.numbers.get(claim.name, {})
                yield numbers if len(claim.statements) == 1 else numbers.get(str(n), {}), other.against


def _complete(entry: dict[str, Any], own: Statement, against: str) -> bool:
    """Return whether numbers have the values that a statement needs."""
    needed = ["curve"] if own.steps_until else ["items", "values"]
    return all(entry.get(key) for key in needed + (["against"] if against else []))


def _subject(own: Statement, against: str) -> str:
    """Return what a statement is about, in words."""
    until = f" until {own.steps_until.direction} {own.steps_until.value}" if own.steps_until else ""
    return f"{own.measure}{until} of the arm {own.arm}" + (f" against {against}" if against else "")


def _side(name: str, entries: dict[str, Any], place: int) -> Side:
    """Return the first or second side of the numbers of all runs."""
    values, curve = (("values", "curve"), ("against", "against"))[place]
    tables = {seed: dict(zip(own["items"], own[values], strict=True)) for seed, own in entries.items() if "items" in own}
    curves = {seed: own[curve] for seed, own in entries.items() if "curve" in own}
    counted = [own.get("endings", {}) for own in entries.values()]
    kinds = set.intersection(*(set(counts) for counts in counted))
    return Side(name, tables, curves, {kind: sum(counts[kind][place] for counts in counted) for kind in sorted(kinds)})
