"""The verdicts on the claims of a variant, over its runs with several seeds. Pure.

The first that applies: uninformative, null, reproduced, contradicted, underpowered. Intervals are adjusted for the number of
statements that get a verdict. A gate gets no verdict: it holds or fails by the mean over seeds. docs/explanation/verdicts.md
explains the rules; tests/support/simulation.py shows how often they go wrong.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Literal

from cantica.commands.comparison import power
from cantica.commands.comparison.claimed import Side, Variants, sides_of
from cantica.commands.comparison.crossed import OverSeeds
from cantica.commands.comparison.evidence import Evidence, evidence
from cantica.commands.headline import number
from cantica.reporting.claims import steps_until
from cantica.reporting.endings import TOLERANCE, unequal_counts
from cantica.reporting.inference import ALPHA
from cantica.settings.claims import Bound, Claim, Statement

Verdict = Literal["uninformative", "null", "reproduced", "contradicted", "underpowered"]
Outcome = Verdict | Literal["holds", "fails"]  # the last two of a gate
FLOOR, CEILING = 0.05, 0.95  # shares beyond them leave no room for a difference
NEAR, MANY_ITEMS = 0.1, 60  # from 0 or 1: levels of more items are wrong in more than 5% there if seeds differ by a logit
FEWEST_SEEDS = 3
REASONS: dict[Outcome, str] = {
    "null": "the interval lies inside ±{negligible:g}",
    "reproduced": "the interval lies {direction} {value:g}",
    "contradicted": "the interval lies {other} {value:g}",
    "underpowered": "the interval includes {value:g}",
}


@dataclass(frozen=True)
class Decided:
    """A statement with its outcome, and the reason in words.

    estimate: of the level or difference, with its adjusted interval. levels: of the arm and, for a difference, of the other
    side. power: the chance of "reproduced" if the true value were beyond the bound by `negligible`; None without `negligible`.
    detectable: the smallest distance from the bound that is found with a power of 0.8, None if no value lies so far from it.
    Both are None without an interval.
    """

    statement: Statement
    outcome: Outcome
    reason: str
    estimate: OverSeeds
    levels: tuple[OverSeeds, ...]
    power: float | None
    detectable: float | None


@dataclass(frozen=True)
class Ruling:
    """A claim with its outcome, the reason in words, and its statements. alpha: the intervals cover 1 - alpha."""

    claim: Claim
    outcome: Outcome
    reason: str
    statements: tuple[Decided, ...]
    alpha: float


def verdicts(name: str, variants: Variants) -> list[Ruling]:
    """Return the ruling on each claim of a variant, in order. variants: itself and those that its claims name."""
    claims = variants[name].claims.values()
    alpha = ALPHA / max(1, sum(len(claim.statements) for claim in claims if not claim.gate))
    failed = {of: _failed_gates(of, variants) for of in variants}
    return [_gate(claim, name, variants) if claim.gate else _claim(claim, name, variants, failed, alpha) for claim in claims]


def word(low: float, high: float, bound: Bound, negligible: float | None) -> Verdict:
    """Return the verdict that follows from an interval alone."""
    if negligible is not None and -negligible < low and high < negligible:
        return "null"
    if bound.holds(low) and bound.holds(high):
        return "reproduced"
    return "contradicted" if low > bound.value or high < bound.value else "underpowered"


def _failed_gates(name: str, variants: Variants) -> list[str]:
    """Return a sentence for each gate of a variant that fails."""
    gates = [_gate(claim, name, variants) for claim in variants[name].claims.values() if claim.gate]
    return [f"the gate {gate.claim.name} of {name} fails: {gate.reason}" for gate in gates if gate.outcome == "fails"]


def _gate(claim: Claim, name: str, variants: Variants) -> Ruling:
    """A gate holds if the mean over seeds satisfies every statement. Its intervals are not adjusted."""
    decided = []
    for own in claim.statements:
        sides, missing, found = _measured(own, name, variants, ALPHA)
        why = missing or [*_endings(sides)]
        holds = not why and own.bound.holds(number(found.estimate))
        sign = own.bound.direction if holds else f"not {own.bound.direction}"
        reason = "; ".join(why) or f"{number(found.estimate):.3g} is {sign} {own.bound.value:g}"
        decided.append(Decided(own, "holds" if holds else "fails", reason, found.estimate, found.levels, None, None))
    outcome: Outcome = "holds" if all(own.outcome == "holds" for own in decided) else "fails"
    return Ruling(claim, outcome, _reason(decided, outcome), tuple(decided), ALPHA)


def _claim(claim: Claim, name: str, variants: Variants, failed: dict[str, list[str]], alpha: float) -> Ruling:
    """The ruling on a claim that is no gate. failed: {variant: sentences on its gates that fail}."""
    decided = [_statement(own, name, variants, failed[name] + failed.get(own.variant, []), alpha) for own in claim.statements]
    rest: tuple[Outcome, ...] = ("uninformative", "contradicted", "null", "underpowered")
    outcome: Outcome = next((word for word in rest if word in [own.outcome for own in decided]), "reproduced")
    return Ruling(claim, outcome, _reason(decided, outcome), tuple(decided), alpha)


def _statement(own: Statement, name: str, variants: Variants, failed: list[str], alpha: float) -> Decided:
    """The verdict on one statement. failed: sentences on the gates that it depends on and that fail."""
    sides, missing, found = _measured(own, name, variants, alpha)
    interval, seeds = found.interval, found.estimate.get("seeds", 0)
    why = failed + missing or [*_extremes(own, sides, found), *_endings(sides)]
    outcome: Verdict = "underpowered"
    if why:
        outcome = "uninformative"
        reason = "; ".join(why)
    elif seeds < FEWEST_SEEDS:
        reason = f"fewer than {FEWEST_SEEDS} seeds: {seeds}"
    elif interval is None:
        reason = "there is one item" if found.estimate.get("n") == 1 else "the values are all equal, so they have no interval"
    else:
        outcome = word(float(interval.low), float(interval.high), own.bound, own.negligible)
        other = "below" if own.bound.direction == "above" else "above"
        reason = REASONS[outcome].format(**own.bound._asdict(), other=other, negligible=own.negligible)
        reason += _caution(own.bound, outcome, found.estimate)
    chance = smallest = None
    if interval and seeds >= FEWEST_SEEDS:
        chance = power.power(interval, own.bound, own.negligible, alpha) if own.negligible else None
        smallest = power.detectable(interval, own.bound, alpha, _limits(sides, found))
    return Decided(own, outcome, reason, found.estimate, found.levels, chance, smallest)


def _measured(own: Statement, name: str, variants: Variants, alpha: float) -> tuple[list[Side], list[str], Evidence]:
    """Return the sides of a statement, a sentence for all that is missing, and the evidence."""
    sides, missing = sides_of(own, name, variants)
    if missing:
        return [], missing, Evidence({}, (), None)
    found = evidence(own, sides, alpha)
    return sides, [] if found.levels else ["there is no item that all runs have"], found


def _limits(sides: list[Side], found: Evidence) -> power.Limits:
    """Return the limits of the values of a statement: of shares, or of a difference between shares."""
    if not all(side.share for side in sides):
        return -inf, inf
    return (-1, 1) if "difference" in found.estimate else (0, 1)


def _extremes(own: Statement, sides: list[Side], found: Evidence) -> Iterator[str]:
    """Yield why two sides cannot differ: both stand at the floor or at the ceiling."""
    if len(sides) < 2:
        return
    if own.steps_until:
        for place, which in ((0, "first"), (-1, "last")):
            curves = [curve for side in sides for curve in side.curves.values()]
            if all(steps_until(curve, own.steps_until) == curve[place][0] for curve in curves):
                yield f"both sides are at the {which} checkpoint in every run"
        return
    shares = [level["share"] for level in found.levels if "share" in level]
    if shares and (max(shares) <= FLOOR or min(shares) >= CEILING):
        where = "floor" if max(shares) <= FLOOR else "ceiling"
        yield f"both sides are at the {where}: {' and '.join(f'{share:.1%}' for share in shares)}"


def _endings(sides: list[Side]) -> Iterator[str]:
    """Yield why values depend on how the answers ended.

    Those of two sides ended differently; or too many of a level are unfinished, and so have the lowest value.
    """
    if len(sides) == 1:
        ended = sides[0].ended
        if ended.get("unfinished", 0) > (TOLERANCE + 1e-9) * ended.get("of", 0):
            yield f"the thinking is unfinished in {ended['unfinished']} of {ended['of']} answers"
        return
    for kind, found in unequal_counts({side.name: side.ended for side in sides}).items():
        if kind != "of":
            counts = " and ".join(f"{found[side.name]} of {side.ended['of']} ({side.name})" for side in sides)
            yield f"the answers ended unequally: {kind} are {counts}"


def _caution(bound: Bound, outcome: Verdict, estimate: OverSeeds) -> str:
    """Return what is to be said of a level of a share that is decided near 0 or 1 from many items, or ""."""
    near = min(bound.value, 1 - bound.value) <= NEAR + 1e-9
    decided = outcome in ("reproduced", "contradicted")
    if "share" in estimate and near and decided and estimate["n"] > MANY_ITEMS:
        return ", but if seeds differ much, so near 0% or 100% this is wrong more often than in 5%"
    return ""


def _reason(decided: list[Decided], outcome: Outcome) -> str:
    """Return the reasons of those statements that decide a claim, numbered if it has several."""
    own = [(n, one.reason) for n, one in enumerate(decided, 1) if one.outcome == outcome]
    return "; ".join(f"statement {n}: {reason}" for n, reason in own) if len(decided) > 1 else decided[0].reason
