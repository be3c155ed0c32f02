"""Claims: what an experiment says of its measures, with the bounds that decide it. Pure.

schemas/params.schema.json describes the form. Faults that depend on the measures themselves are found by `settings.measures`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from cantica.core.errors import Problem, did_you_mean
from cantica.settings.arms import all_arms
from cantica.settings.tree import ROOT, iteration_of, kept_iterations

Direction = Literal["above", "below"]
BOUNDS: tuple[Direction, ...] = ("above", "below")
STATEMENT = ("measure", "arm", "against", *BOUNDS, "negligible", "steps_until")


class Bound(NamedTuple):
    """A number, and the side of it on which a value is claimed to lie."""

    direction: Direction
    value: float

    def holds(self, value: float) -> bool:
        """Return whether a value lies on the claimed side."""
        return value > self.value if self.direction == "above" else value < self.value


@dataclass(frozen=True)
class Statement:
    """One sentence of a claim: a level of an arm, or its difference from another arm, lies above or below a bound.

    place: in params.yaml, for errors. measure: its path under an arm in reports/details.json. against: the arm that `arm` is
    compared with, or "". variant: the variant whose arm of the same name `arm` is compared with, or "". negligible: the largest
    difference that does not matter, or None. steps_until: if not None, the value is not the measure but the first checkpoint at
    which it has passed this bound, in iterations of the arm's step.
    """

    place: str
    measure: str
    arm: str
    against: str
    variant: str
    bound: Bound
    negligible: float | None
    steps_until: Bound | None

    @property
    def is_difference(self) -> bool:
        """Return whether two sides are compared."""
        return bool(self.against or self.variant)


@dataclass(frozen=True)
class Claim:
    """What an experiment says of its measures. It holds if all of its statements do.

    gate: whether it is a condition for the verdicts on the other claims. says: the claim in words.
    """

    name: str
    says: str
    gate: bool
    statements: tuple[Statement, ...]


def claims_of(params: dict[str, Any]) -> dict[str, Claim]:
    """Return {name: claim}, in the order of params. They must have no fault."""
    return {
        name: Claim(name, own["says"], own.get("gate", False), tuple(_statement(*found) for found in written(name, own)))
        for name, own in params["claims"].items()
    }


def written(name: str, claim: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return (place in params, statement) for each statement of a claim, as its author wrote it."""
    place = f"claims.{name}"
    return [(f"{place}.all.{n}", own) for n, own in enumerate(claim["all"])] if "all" in claim else [(place, claim)]


def _statement(place: str, own: dict[str, Any]) -> Statement:
    other = own.get("against", "")
    against, variant = ("", other["variant"]) if isinstance(other, dict) else (other, "")
    until = _bound(own["steps_until"]) if "steps_until" in own else None
    return Statement(place, own["measure"], own["arm"], against, variant, _bound(own), own.get("negligible"), until)


def _bound(own: dict[str, Any]) -> Bound:
    direction: Direction = "above" if "above" in own else "below"
    return Bound(direction, own[direction])


def claim_faults(params: dict[str, Any], file: str) -> list[Problem]:
    """Return the faults of all claims that can be found without knowing the measures."""
    found: list[Problem] = []
    for name, claim in params["claims"].items():
        place = f"claims.{name}"
        alone = [key for key in STATEMENT if key in claim]
        if "all" in claim and alone:
            got = f"`all` and also {', '.join(alone)}"
            found.append(Problem(file, place, got, "either one statement, or several in `all`"))
        for where, own in written(name, claim):
            faults = list(_form_faults(own, where, file))
            found += faults or list(_statement_faults(_statement(where, own), params, file))
    return found + (list(_gate_faults(params, file)) + list(_repeated(params, file)) if not found else [])


def _gate_faults(params: dict[str, Any], file: str) -> Iterator[Problem]:
    """Yield a Problem for what a gate cannot have: it compares the mean over the runs of one variant with its bound."""
    for claim in claims_of(params).values():
        for own in claim.statements if claim.gate else ():
            if own.negligible is not None:
                expected = "none: a gate compares the mean over seeds with its bound"
                yield Problem(file, f"{own.place}.negligible", f"{own.negligible:g}, in a gate", expected)
            if own.variant:
                got, expected = (
                    f"the variant {own.variant}, in a gate",
                    "an arm, or none: a gate is about the runs of one variant",
                )
                hint = "a claim without `gate`, or a gate on the level of the arm"
                yield Problem(file, f"{own.place}.against", got, expected, hint)


def _repeated(params: dict[str, Any], file: str) -> Iterator[Problem]:
    """Yield a Problem for each statement that stands twice. It would count twice when intervals are adjusted."""
    first: dict[Statement, str] = {}
    for claim in claims_of(params).values():
        for own in claim.statements:
            place = first.setdefault(replace(own, place=""), own.place)
            if place != own.place:
                yield Problem(file, own.place, f"the statement of {place} again", "another statement")


def _form_faults(own: dict[str, Any], place: str, file: str) -> Iterator[Problem]:
    """Yield a Problem for each key that a statement lacks, and for two bounds."""
    for key in ("measure", "arm"):
        if key not in own:
            yield Problem(file, place, f"no {key}", "a statement with measure, arm, and above or below")
    for where, mapping in ((place, own), (f"{place}.steps_until", own.get("steps_until"))):
        if mapping is not None and len(bounds := [key for key in BOUNDS if key in mapping]) != 1:
            yield Problem(file, where, " and ".join(bounds) or "no bound", "either above or below")


def _statement_faults(own: Statement, params: dict[str, Any], file: str) -> Iterator[Problem]:
    arms = all_arms(params)
    for key, arm in (("arm", own.arm), ("against", own.against)):
        if arm and arm not in arms:
            yield Problem(file, f"{own.place}.{key}", repr(arm), f"an arm: {', '.join(arms)}", did_you_mean(arm, arms))
        elif arm and own.steps_until and (got := _no_curve(arm, params)):
            expected = "an arm at the end of a step that keeps checkpoints (train.checkpoints)"
            yield Problem(file, f"{own.place}.{key}", got, f"{expected}, for steps_until")
    if own.against == own.arm:
        yield Problem(file, f"{own.place}.against", f"{own.arm!r}, the arm itself", "another arm")
    bound = own.bound.value
    if own.negligible is not None and bound and own.negligible > abs(bound):
        got, expected = f"{own.negligible}, more than the bound {bound}", "at most the size of the bound"
        hint = "an effect that satisfies the claim cannot be negligible"
        yield Problem(file, f"{own.place}.negligible", got, expected, hint)


def _no_curve(arm: str, params: dict[str, Any]) -> str:
    """Return why an arm has no curve over checkpoints, or ""."""
    if arm not in params["arms"]:
        return f"{arm!r}, which is no point of the tree"
    point = params["arms"][arm]["point"]
    if point == ROOT or iteration_of(point) is not None:
        return f"{arm!r}, which is at {point}"
    if point not in params["curriculum"]:
        return ""  # a fault of the arm
    return "" if kept_iterations(params, point) else f"{arm!r}, whose step {point} keeps no checkpoints"
