"""The faults of claims that depend on the measures of a build: what is measured, of which arms, in which unit. Pure."""

from collections.abc import Iterator
from math import inf, isfinite
from typing import Any, NamedTuple

from cantica.core.errors import Problem, did_you_mean
from cantica.settings.arms import all_arms, with_losses
from cantica.settings.claims import Bound, Statement, claims_of
from cantica.settings.measures import Known, Texts, known_measures


class Range(NamedTuple):
    """What a bound is compared with: its name, and the least and greatest value that it can have."""

    name: str
    least: float
    greatest: float


def measure_faults(params: dict[str, Any], texts: Texts, file: str) -> list[Problem]:
    """Return the faults of all claims in params that `check_params` accepts: unknown measures, arms and impossible bounds."""
    known = known_measures(params, texts)
    statements = [statement for claim in claims_of(params).values() for statement in claim.statements]
    return [problem for own in statements for problem in _faults(own, known, params, file)]


def _faults(own: Statement, known: dict[str, Known], params: dict[str, Any], file: str) -> Iterator[Problem]:
    if own.measure not in known:
        yield _unknown(own, known, params, file)
        return
    measure = known[own.measure]
    for key, arm in (("arm", own.arm), ("against", own.against)):
        if arm and arm not in measure.arms:
            expected = f"an arm that has {own.measure}: {', '.join(measure.arms)}"
            yield Problem(file, f"{own.place}.{key}", repr(arm), expected, _why(own.measure, arm, params))
    if own.is_difference and measure.within and measure.unit == "share" and not own.steps_until:
        got = f"another {'arm' if own.against else 'variant'}, for the difference between two conditions"
        expected = "none: nothing compares two differences of shares reliably near 0% and 100%"
        earlier = own.measure.rpartition(".")[0]
        hint = f"a statement on each condition ({earlier}.…) with `against`, or one on the difference within each arm"
        yield Problem(file, f"{own.place}.against", got, expected, hint)
        return
    if own.steps_until and not measure.curve:
        expected = "a measure that checkpoints have: of behaviours or probe, for steps_until"
        yield Problem(file, f"{own.place}.measure", repr(own.measure), expected)
    if own.steps_until:
        yield from _bound_faults(own.steps_until, f"{own.place}.steps_until", _values(measure), file)
    compared = _steps(own, params) if own.steps_until else _differences(measure) if own.is_difference else _values(measure)
    yield from _bound_faults(own.bound, own.place, compared, file)
    yield from _negligible_faults(own, own.is_difference or (measure.within and not own.steps_until), compared, file)


def _unknown(own: Statement, known: dict[str, Known], params: dict[str, Any], file: str) -> Problem:
    """Return a Problem that lists what may follow the part of the path that is right."""
    names, paths = own.measure.split("."), [path.split(".") for path in known]
    right = next(names[:n] for n in range(len(names), -1, -1) if n == 0 or _after(names[:n], paths))
    after = f"one of {', '.join(_after(right, paths))}"
    expected = f"{'.'.join(right)}. and {after}" if right else f"a measure that begins with {after}"
    if not known:
        expected = "a measure, but this build measures nothing"
    hint = did_you_mean(own.measure, known)
    if names[0] == "behaviours" and len(right) < 2:
        measured = params["probe"]["behaviours"]
        expected = f"a behaviour in probe.behaviours: {', '.join(measured) or 'none'}"
        hint = did_you_mean(".".join(names[1:2]), measured) or "only the behaviours in probe.behaviours are measured"
    first, _, rest = own.measure.partition(".")
    if first.startswith("against_") and rest in known:
        hint = f"`measure: {rest}` and `against: {first.removeprefix('against_')}`"
    return Problem(file, f"{own.place}.measure", repr(own.measure), expected, hint)


def _after(start: list[str], paths: list[list[str]]) -> list[str]:
    """Return the names that follow a start in paths."""
    length = len(start)
    return list(dict.fromkeys(path[length] for path in paths if path[:length] == start and len(path) > length))


def _why(measure: str, arm: str, params: dict[str, Any]) -> str:
    """Return why an arm lacks a measure that others have, or ""."""
    if measure.startswith("against_") or arm not in all_arms(params):
        return ""
    if arm not in params["arms"]:
        return f"{arm} has only responses and their scores"
    if arm not in with_losses(params):
        return "only base and steps without a system prompt have losses"
    if measure.split(".")[0] == "loss_nats":
        return f"{arm} is measured on no validation examples: name its point in measure.in_full, or raise measure.examples"
    return f"nothing that it measures was learnt before the last step of {arm}"


def _values(measure: Known) -> Range:
    """Return what the values of a measure are, and their limits."""
    one, several = {"share": ("a share", "shares"), "points": ("a score", "scores")}.get(measure.unit, ("nats per token",) * 2)
    if measure.greatest == 0:
        one = "a log-probability in nats per token"
    return Range(f"a difference of {several}" if measure.within else one, measure.least, measure.greatest)


def _differences(measure: Known) -> Range:
    """Return what the differences between two arms are, and their limits."""
    span = measure.greatest - measure.least
    several = {"share": "shares", "points": "scores"}.get(measure.unit, "values in nats per token")
    return Range(f"a difference of two {'differences of ' if measure.within else ''}{several}", -span, span)


def _steps(own: Statement, params: dict[str, Any]) -> Range:
    """Return what is compared for `steps_until`: numbers of iterations, or their differences."""
    most, *others = [_length(arm, params) for arm in (own.arm, own.against) if arm]
    if not own.is_difference:
        return Range(f"iterations of the step of {own.arm}", 0, most)
    return Range("a difference of iterations", -others[0] if others else -inf, most)


def _length(arm: str, params: dict[str, Any]) -> int:
    step = params["curriculum"][params["arms"][arm]["point"]]
    return step.get("iters", params["train"]["iters"])


def _bound_faults(bound: Bound, place: str, values: Range, file: str) -> Iterator[Problem]:
    """Yield a Problem for a bound that is no possible value, or beyond which no value lies."""
    value, hint = bound.value, ""
    if values.least <= value < values.greatest if bound.direction == "above" else values.least < value <= values.greatest:
        return
    if values.least <= value <= values.greatest:
        hint = f"no value is {bound.direction} {value:g}"
    elif "share" in values.name and 1 < abs(value) <= 100:
        hint = f"{value:g}% is {value / 100:g}"
    yield Problem(file, f"{place}.{bound.direction}", f"{value:g}", f"{values.name}{_limits(values)}", hint)


def _limits(values: Range) -> str:
    least, greatest = values.least, values.greatest
    if isfinite(least) and isfinite(greatest):
        return f", from {least:g} to {greatest:g}"
    if isfinite(least):
        return f", at least {least:g}"
    return f", at most {greatest:g}" if isfinite(greatest) else ""


def _negligible_faults(own: Statement, is_difference: bool, values: Range, file: str) -> Iterator[Problem]:
    if own.negligible is None:
        return
    place = f"{own.place}.negligible"
    if not is_difference:
        expected = "a statement about a difference: with `against`, or on a measure that is a difference"
        yield Problem(file, place, f"{own.negligible:g} for the level of {own.arm}", expected)
    elif own.negligible >= values.greatest:
        expected = f"less than {values.greatest:g}, the greatest possible difference"
        yield Problem(file, place, f"{own.negligible:g}", expected, "it would make every difference negligible")
