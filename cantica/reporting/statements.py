"""The statements of claims and their numbers in one run, as text for readers. Pure."""

from cantica.reporting import wording
from cantica.reporting.claims import Numbers, side_names, steps_until
from cantica.reporting.endings import unequal_counts
from cantica.reporting.inference import Estimate
from cantica.reporting.wording import fixed
from cantica.settings.claims import Statement

DIGITS = {"nats per token": 3, "points": 2, "share": 0, "iterations": 0}


def stated(own: Statement) -> str:
    """Return what a statement says: `loss_nats`, final minus that of shuffled, below 0 (negligible: 0.02)."""
    negligible = "" if own.negligible is None else f" (negligible: {own.negligible:g})"
    return f"{subject(own)}, {own.bound.direction} {own.bound.value:g}{negligible}"


def subject(own: Statement) -> str:
    """Return what a statement is about: a measure, and one or two arms."""
    measure = own.measure
    if own.steps_until:
        measure = f"iterations until {measure} is {own.steps_until.direction} {own.steps_until.value:g}"
    sides = own.arm
    if own.is_difference:
        sides = f"{own.arm} minus {own.against or f'{own.arm} of {own.variant}'}"
    return f"{measure}, {sides}"


def value(numbers: Numbers) -> str:
    """Return the level or difference, or a dash."""
    if numbers.steps is not None:
        return fixed(numbers.steps, 0, "+" if len(numbers.sides) > 1 else "")
    return wording.level(numbers.estimate, DIGITS[numbers.unit], numbers.unit == "share")


def reach(numbers: Numbers) -> str:
    """Return the interval in brackets, or why there is none."""
    if numbers.steps is not None:
        return "one value, without an interval"
    return wording.interval(numbers.estimate, DIGITS[numbers.unit], numbers.unit == "share")


def both(numbers: Numbers) -> str:
    """Return the level of each side of a difference; "" for a level."""
    if len(numbers.sides) < 2 or not numbers.estimate.get("n", 1):
        return ""
    means = (sum(side.table.values()) / len(side.table) for side in numbers.sides if side.table)
    key = "share" if numbers.unit == "share" else "mean"
    found: list[Estimate] = [{"n": 1, key: mean} for mean in means]  # type: ignore[misc]  # a key of Estimate
    return " against ".join(wording.level(level, DIGITS[numbers.unit]) for level in found)


def bound(own: Statement, numbers: Numbers) -> str:
    """Return the bound in words, in the unit of the number, with the negligible effect."""
    change = own.is_difference or "difference" in numbers.estimate
    claimed = f"claimed: {own.bound.direction} {_amount(own.bound.value, numbers.unit, change)}"
    if own.negligible is None:
        return claimed
    return f"{claimed}; differences up to ±{_amount(own.negligible, numbers.unit, change)} are negligible"


def _amount(number: float, unit: str, change: bool) -> str:
    """Return a bound as text, exactly as it was chosen; shares in percent or percentage points."""
    if unit != "share":
        return f"{number:g}".replace("-", "−")
    return f"{100 * number:g}{' pp' if change else '%'}".replace("-", "−")


def passed(own: Statement, numbers: Numbers) -> list[str]:
    """Return, for `steps_until`, when the measure of each side passed the rate."""
    if own.steps_until is None:
        return []
    found = []
    for arm, side in zip((own.arm, own.against), numbers.sides, strict=False):
        iteration = steps_until(side.curve, own.steps_until)
        reached = any(own.steps_until.holds(level) for _, level in side.curve)
        found.append(f"{arm}: after {iteration}" if reached else f"{arm}: not by the end, which counts as {iteration}")
    return found


def doubt(own: Statement, numbers: Numbers) -> str:
    """Return why the two sides cannot be compared (their answers ended differently), or "" if they can."""
    if len(numbers.sides) < 2 or not numbers.sides[0].ended:
        return ""
    arm, other = zip(side_names(own), (side.ended for side in numbers.sides), strict=True)
    return wording.not_comparable({"unequal": unequal_counts(dict([other, arm]))})


def agreement(own: Statement, numbers: Numbers) -> str:
    """Return on which side of its bound the interval of this run lies, in words.

    "" without an interval, and for a difference from another variant, of which one run has one side only.
    """
    found = numbers.estimate
    if numbers.steps is not None or own.variant or "low" not in found:
        return ""
    if doubt(own, numbers):
        return "not comparable"
    ends = [own.bound.holds(end) for end in (found["low"], found["high"])]
    return "this run agrees" if all(ends) else "this run disagrees" if not any(ends) else "undecided in this run"


def opening(text: str) -> str:
    """Return a text with a capital first letter; the others stay as they are."""
    return text[:1].upper() + text[1:]


FILTERS = (agreement, both, bound, doubt, opening, passed, reach, subject, value)
