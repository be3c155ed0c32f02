"""The level or difference that a statement is about, over the runs with all seeds. Pure."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from cantica.commands.comparison.claimed import Side
from cantica.commands.comparison.crossed import EXACT, Interval, OverSeeds, array, difference_interval, level_interval, shared
from cantica.commands.comparison.students import gap, student_interval
from cantica.reporting.claims import steps_until
from cantica.settings.claims import Bound, Statement

if TYPE_CHECKING:
    import numpy as np

Kind = Literal["mean", "share", "difference"]


@dataclass(frozen=True)
class Evidence:
    """What all runs say of a statement.

    estimate: with its interval at the statement's `alpha`. levels: of each side, likewise. interval: None if there is one run,
    or one item, or if all values are equal, so that they do not show how uncertain they are.
    """

    estimate: OverSeeds
    levels: tuple[OverSeeds, ...]
    interval: Interval | None


def evidence(own: Statement, sides: list[Side], alpha: float) -> Evidence:
    """Return the evidence on a statement from its sides."""
    return _of_steps(own.steps_until, sides, alpha) if own.steps_until else _of_items(sides, alpha)


def _of_items(sides: list[Side], alpha: float) -> Evidence:
    """Over runs and items, for the items that all runs of all sides have."""
    items = shared({f"{place} {seed}": table for place, side in enumerate(sides) for seed, table in side.tables.items()})
    if not items:
        return Evidence({"n": 0, "seeds": min(len(side.tables) for side in sides)}, (), None)
    share = all(side.share for side in sides)
    within = any(side.difference for side in sides)
    values = [array(side.tables, items) for side in sides]
    levels = [_level(one, within, share, alpha) for one in values]
    if len(sides) == 1:
        return Evidence(levels[0].estimate, (levels[0].estimate,), levels[0].interval)
    arm, other = values
    found = None
    if min(len(arm), len(other), len(items)) > 1:
        found = difference_interval(other, arm, _same_seeds(sides), share and not within, alpha)
    whole = _evidence("difference", float(arm.mean() - other.mean()), found, min(len(arm), len(other)), len(items))
    return Evidence(whole.estimate, tuple(level.estimate for level in levels), whole.interval)


def _level(values: "np.ndarray", within: bool, share: bool, alpha: float) -> Evidence:
    """The level of one side; of a measure `within` an arm its difference. values: (runs, items)."""
    kind: Kind = "difference" if within else "share" if share else "mean"
    found = level_interval(values, kind == "share", alpha) if min(values.shape) > 1 else None
    return _evidence(kind, float(values.mean()), found, *values.shape)


def _of_steps(beyond: Bound, sides: list[Side], alpha: float) -> Evidence:
    """Over seeds: each run has one value, the first checkpoint beyond a bound."""
    import numpy as np

    curves = [[side.curves[seed] for seed in sorted(side.curves)] for side in sides]
    steps = [[steps_until(curve, beyond) for curve in own] for own in curves]
    gaps = [np.array([*map(gap, own, values)], float) for own, values in zip(curves, steps, strict=True)]
    at = [np.array(values, float) for values in steps]
    levels = [_over_seeds("mean", [values], [exact], alpha) for values, exact in zip(at, gaps, strict=True)]
    if len(sides) == 1:
        return Evidence(levels[0].estimate, (levels[0].estimate,), levels[0].interval)
    if _same_seeds(sides):
        whole = _over_seeds("difference", [at[0] - at[1]], [np.hypot(*gaps)], alpha)
    else:
        whole = _over_seeds("difference", [at[0], -at[1]], gaps, alpha)
    return Evidence(whole.estimate, tuple(level.estimate for level in levels), whole.interval)


def _over_seeds(kind: Kind, sides: list["np.ndarray"], gaps: list["np.ndarray"], alpha: float) -> Evidence:
    """The sum of the means of independent sides, of values with one for each run."""
    seeds = min(len(side) for side in sides)
    found = student_interval(sides, gaps, alpha) if seeds > 1 else None
    return _evidence(kind, sum(float(side.mean()) for side in sides), found, seeds)


def _same_seeds(sides: list[Side]) -> bool:
    first, second = (sorted(side.tables or side.curves) for side in sides)
    return first == second


def _evidence(kind: Kind, mean: float, found: Interval | None, seeds: int, n: int | None = None) -> Evidence:
    """The evidence of a mean, with an interval if it has a width."""
    if found and found.low >= found.high:
        found = None
    width = {"low": float(found.low), "high": float(found.high)} if found else {}
    about = {"seeds": seeds} if n is None else {"n": n, "seeds": seeds}
    estimate = cast(OverSeeds, {kind: round(mean, EXACT)} | width | about)
    return Evidence(estimate, (), found)
