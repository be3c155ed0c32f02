"""Simulate claims whose truth is known, and count the verdicts: python -m tests.support.simulation

Prints the table of docs/explanation/verdicts.md (some minutes on one core). A wrong "reproduced" is counted where the true
value is exactly the bound, in the direction that is wrong more often; a wrong "null" where the true difference is exactly the
negligible one. These are the worst cases: the further the truth is from there, the rarer they are. With four claims the chance
is that of at least one wrong verdict, for claims that are independent and have intervals adjusted for four.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from cantica.commands.comparison.crossed import Interval, difference_interval, level_interval
from cantica.commands.comparison.students import student_interval
from cantica.commands.comparison.verdicts import word
from cantica.reporting.inference import ALPHA
from cantica.settings.claims import Bound

SAMPLES = 10_000
MOST = 0.05  # of wrong verdicts of a kind, in each row
CLAIMS = (1, 4)
ITEMS, OWN, REST = 1.0, 0.5, 1.0  # standard deviations of items, of items in one arm, and of a single log-probability
EVERY, LAST = 4, 80  # checkpoints

Array = np.ndarray  # (samples, runs, items), or (samples, runs)
Intervals = Callable[[float], Interval]  # the intervals of all samples, from alpha


class Size(NamedTuple):
    """The numbers of seeds and of items."""

    seeds: int
    items: int


Simulate = Callable[[np.random.Generator, Size, float, float], Intervals]  # from the true value and the spread of seeds


@dataclass(frozen=True)
class Case:
    """A claim, and how to make data of which it is true or not.

    alternative: the true value for which the power is shown. spreads: the standard deviation of seeds, small and large.
    """

    claim: str
    bound: Bound
    negligible: float | None
    alternative: float
    spreads: tuple[float, float]
    simulate: Simulate
    sizes: tuple[Size, ...] = tuple(Size(seeds, items) for seeds in (3, 5) for items in (20, 60))


@dataclass(frozen=True)
class Row:
    """The shares of verdicts on a claim. Wrong ones for each number of CLAIMS; the power of each spread for each of CLAIMS."""

    case: Case
    size: Size
    reproduced: list[float]
    null: list[float]
    power: list[list[float]]


# How data are made


@cache
def intercept(rate: float, spread: float) -> float:
    """The logit around which logits vary by `spread` if the mean rate is `rate`."""
    points, weights = np.polynomial.hermite_e.hermegauss(61)
    return brentq(lambda middle: expit(middle + spread * points) @ weights / weights.sum() - rate, -20, 20)


def answers(rng: np.random.Generator, rate: float, *deviations: Array, spread: float) -> Array:
    """0 or 1, with a mean rate. deviations: of the logits, which have the standard deviation `spread` together."""
    logits = (intercept(rate, spread) if rate else -np.inf) + sum(deviations)
    return (rng.random(logits.shape) < expit(logits)).astype(float)


def rate_level(rng: np.random.Generator, size: Size, true: float, spread: float) -> Intervals:
    """A rate over items and seeds."""
    items, runs = rng.normal(0, ITEMS, (SAMPLES, 1, size.items)), rng.normal(0, spread, (SAMPLES, size.seeds, 1))
    values = answers(rng, true, items, runs, spread=np.hypot(ITEMS, spread))
    return lambda alpha: level_interval(values, True, alpha)


def rate_difference(middle: float, together: bool, same: bool) -> Simulate:
    """The difference of a rate from the rate `middle`. together: whether seeds also move both sides alike, as in the same runs.

    same: whether the two sides are paired by seed.
    """

    def simulate(rng: np.random.Generator, size: Size, true: float, spread: float) -> Intervals:
        shape, runs = (SAMPLES, 1, size.items), (SAMPLES, size.seeds, 1)
        items, common = rng.normal(0, ITEMS, shape), rng.normal(0, spread * together, runs)
        whole = float(np.sqrt(ITEMS**2 + OWN**2 + spread**2 * (1 + together)))
        first, second = (
            answers(rng, rate, items, common, rng.normal(0, OWN, shape), rng.normal(0, spread, runs), spread=whole)
            for rate in (middle, middle + true)
        )
        return lambda alpha: difference_interval(first, second, same, True, alpha)

    return simulate


def logprobs(rng: np.random.Generator, size: Size) -> tuple[Array, Array]:
    """Log-probabilities of items, skewed to the left as they are, and what a single one differs from them."""
    items = (4 - rng.gamma(4, 1, (SAMPLES, 1, size.items))) / 2 * ITEMS
    return items, rng.normal(0, REST, (SAMPLES, size.seeds, size.items))


def logprob_level(rng: np.random.Generator, size: Size, true: float, spread: float) -> Intervals:
    """A mean log-probability."""
    items, rest = logprobs(rng, size)
    values = true + items + rng.normal(0, spread, (SAMPLES, size.seeds, 1)) + rest
    return lambda alpha: level_interval(values, False, alpha)


def logprob_difference(together: bool, same: bool) -> Simulate:
    """The difference of two mean log-probabilities."""

    def simulate(rng: np.random.Generator, size: Size, true: float, spread: float) -> Intervals:
        items, _ = logprobs(rng, size)
        common = rng.normal(0, spread * together, (SAMPLES, size.seeds, 1))
        first, second = (
            mean
            + items
            + common
            + rng.normal(0, OWN, items.shape)
            + rng.normal(0, spread, common.shape)
            + rng.normal(0, REST, (SAMPLES, *size))
            for mean in (0.0, true)
        )
        return lambda alpha: difference_interval(first, second, same, False, alpha)

    return simulate


def steps_difference(together: bool, same: bool) -> Simulate:
    """The difference in *steps until*: times that are rounded up to the next checkpoint."""

    def simulate(rng: np.random.Generator, size: Size, true: float, spread: float) -> Intervals:
        runs = (SAMPLES, size.seeds)
        common = rng.normal(0, spread * together, runs)
        times = (LAST / 2 + mean + common + rng.normal(0, spread, runs) for mean in (0.0, true))
        first, second = (np.clip(np.ceil(time / EVERY) * EVERY, EVERY, LAST) for time in times)
        gap = np.full(runs, float(EVERY))
        if same:
            return lambda alpha: student_interval([second - first], [np.hypot(gap, gap)], alpha)
        return lambda alpha: student_interval([second, -first], [gap, gap], alpha)

    return simulate


LOGITS, NATS, STEPS = (0.2, 0.7), (0.1, 0.5), (1.0, 8.0)
BY_SEEDS = (Size(3, 0), Size(5, 0))
UP, DOWN = Bound("above", 0.0), Bound("below", 0.0)
CASES = [
    Case("rate below 5%", Bound("below", 0.05), None, 0.01, LOGITS, rate_level),
    Case("rate above 50%", Bound("above", 0.5), None, 0.7, LOGITS, rate_level),
    Case("rate above 90%", Bound("above", 0.9), None, 0.98, LOGITS, rate_level),
    Case("rates of two arms, 30% and more", UP, 0.15, 0.3, LOGITS, rate_difference(0.3, True, True)),
    Case("rates of two arms, 5% and more", UP, 0.1, 0.25, LOGITS, rate_difference(0.05, True, True)),
    Case("rates of two variants, same seeds", UP, 0.15, 0.3, LOGITS, rate_difference(0.3, False, True)),
    Case("rates of two variants, other seeds", UP, 0.15, 0.3, LOGITS, rate_difference(0.3, False, False)),
    Case(
        "rates of two conditions, none under one, 5%", Bound("above", 0.05), 0.05, 0.25, LOGITS, rate_difference(0, True, True)
    ),
    Case(
        "rates of two conditions, none under one, 90%", Bound("above", 0.9), None, 0.98, LOGITS, rate_difference(0, True, True)
    ),
    Case("log-probability above a bound", UP, None, 1.0, NATS, logprob_level),
    Case("log-probabilities of two arms", UP, 0.5, 1.0, NATS, logprob_difference(True, True)),
    Case("log-probabilities of two variants, other seeds", UP, 0.5, 1.0, NATS, logprob_difference(False, False)),
    Case("steps until, two arms", DOWN, 8, -16, STEPS, steps_difference(True, True), BY_SEEDS),
    Case("steps until, two variants, other seeds", DOWN, 8, -16, STEPS, steps_difference(False, False), BY_SEEDS),
]


# How verdicts are counted


def share(found: Interval, bound: Bound, negligible: float | None, verdict: str) -> float:
    """The share of samples with a verdict."""
    ends = zip(found.low.tolist(), found.high.tolist(), strict=True)
    return sum(word(low, high, bound, negligible) == verdict for low, high in ends) / SAMPLES


def some(chance: float, claims: int) -> float:
    """The chance that at least one of some independent claims has a verdict."""
    return 1 - (1 - chance) ** claims


def row(case: Case, size: Size) -> Row:
    """The shares of all verdicts on a case with one size."""
    wrong: dict[str, list[list[float]]] = {"reproduced": [], "null": []}
    power = []
    for number, spread in enumerate(case.spreads):
        rng = np.random.default_rng([CASES.index(case), *size, number])
        at_bound = case.simulate(rng, size, case.bound.value, spread)
        either = [Bound(direction, case.bound.value) for direction in ("above", "below")]
        wrong["reproduced"].append(
            [some(max(share(at_bound(ALPHA / m), bound, None, "reproduced") for bound in either), m) for m in CLAIMS]
        )
        if case.negligible:
            edge = case.simulate(rng, size, case.negligible, spread)
            wrong["null"].append([some(share(edge(ALPHA / m), case.bound, case.negligible, "null"), m) for m in CLAIMS])
        true = case.simulate(rng, size, case.alternative, spread)
        power.append([share(true(ALPHA / m), case.bound, case.negligible, "reproduced") for m in CLAIMS])
    worst = {verdict: [max(found) for found in zip(*shares, strict=True)] for verdict, shares in wrong.items()}
    return Row(case, size, worst["reproduced"], worst["null"], power)


def table(rows: list[Row]) -> str:
    """The rows as a table in Markdown."""
    head = ["claim", "seeds", "items", "wrong *reproduced*", "wrong *null*", "power, seeds alike", "power, seeds differ"]
    lines = [head, ["---"] * len(head)]
    for own in rows:
        wrong = [" / ".join(f"{100 * found:.1f}" for found in shares) or "–" for shares in (own.reproduced, own.null)]
        power = [" / ".join(f"{found:.2f}" for found in shares) for shares in own.power]
        lines.append([own.case.claim, str(own.size.seeds), str(own.size.items or "–"), *wrong, *power])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def all_rows() -> list[Row]:
    """The rows of the table in the docs."""
    return [row(case, size) for case in CASES for size in case.sizes]


if __name__ == "__main__":
    print(table(all_rows()))
