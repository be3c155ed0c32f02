"""Means and differences of several runs that were measured on the same items, over the variation of runs and of items. Pure.

A training seed moves all items of its run together, so runs × items are not as many independent numbers. With runs and items
crossed, the variance of the grand mean of k runs and n items is (MS_runs + MS_items - MS_rest) / (k n), the denominator of
Clark's (1973) quasi-F. Components of variance are not negative, so the estimate is at least the larger of its two parts alone.
The critical value is Cochran's (1964): the mean of those of Student's t for the runs and for the items, weighted by their parts
in the variance. Satterthwaite's (1946) degrees of freedom give shorter intervals, but with three seeds these miss the truth up
to 1.5 times as often as they should, and 3 times with alpha = 0.0125.

Shares have Wilson's (1927) interval with an effective number of items (Dean and Pagano 2015): a share near 0 or 1 has too
little variation to show how uncertain it is. The simulation in tests/support/simulation.py shows what these intervals keep.
Otherwise as in `reporting.inference`: two-sided, 95% unless `alpha` says otherwise, and keys that the data do not support are
absent.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from cantica.reporting import inference
from cantica.reporting.inference import ALPHA, FEWEST, POWER, Estimate
from cantica.reporting.measures import Table

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray | float

Runs = dict[str, Table]  # {seed: {item: value}}
EXACT = 12  # decimals; means of the same numbers differ in later ones


class OverSeeds(Estimate, total=False):
    """An estimate over runs with several seeds."""

    seeds: int


class Interval(NamedTuple):
    """A mean with its interval. Each is a number; or an array, one for each of several samples.

    error: the standard error of the mean. freedom: the degrees of freedom with which Student's t has the critical value.
    """

    mean: "np.ndarray"
    low: "np.ndarray"
    high: "np.ndarray"
    error: "np.ndarray"
    freedom: "np.ndarray"


def level(runs: Runs, share: bool, alpha: float = ALPHA) -> OverSeeds:
    """{"mean" or "share", "low", "high", "n", "seeds"} over the items that all runs have. runs: at least two."""
    values = array(runs, shared(runs))
    about: OverSeeds = {"n": values.shape[1], "seeds": values.shape[0]}
    if about["n"] == 0:
        return about
    middle = float(values.mean())
    mean: OverSeeds = {"share": middle} if share else {"mean": middle}
    if about["n"] == 1:
        return mean | about
    found = level_interval(values, share, alpha)
    return mean | {"low": float(found.low), "high": float(found.high)} | about


def difference(first: Runs, second: Runs, seed: int, resamples: int, alpha: float = ALPHA) -> OverSeeds:
    """`second` minus `first`: {"difference", "low", "high", "p", "detectable", "n", "seeds"}. Both have at least two runs.

    Where both have the same seeds, each run is paired with the run of its seed; otherwise the seeds of each side vary
    independently. The items are those that all runs have. Where all differences are equal there is no variance, and p is that
    of `sign_flip` over the items, with `seed` and `resamples`.
    """
    items = shared(first | {f"second {name}": table for name, table in second.items()})
    about: OverSeeds = {"n": len(items), "seeds": min(len(first), len(second))}
    if about["n"] == 0:
        return about
    before, after = array(first, items), array(second, items)
    found: OverSeeds = {"difference": round(float(after.mean() - before.mean()), EXACT)}
    if about["n"] == 1:
        return found | {"p": 1.0} | about
    own = difference_interval(before, after, sorted(first) == sorted(second), alpha=alpha)
    found |= {"low": float(own.low), "high": float(own.high)}
    error, freedom = float(own.error), float(own.freedom)
    if error == 0:
        return found | {"p": inference.sign_flip([found["difference"]] * len(items), seed, resamples)} | about
    from scipy.special import nctdtrinc, stdtr, stdtrit

    found["p"] = float(2 * stdtr(freedom, -abs(found["difference"]) / error))
    if len(items) >= FEWEST:
        found["detectable"] = float(nctdtrinc(freedom, 1 - POWER, stdtrit(freedom, 1 - alpha / 2))) * error
    return found | about


def level_interval(values: "np.ndarray", share: bool, alpha: float = ALPHA) -> Interval:
    """The mean of values (..., runs, items) with its interval. There are at least two runs and two items.

    A share that is the same for all items and runs has Wilson's interval, as if of one run.
    """
    import numpy as np
    from scipy.special import ndtri, stdtrit

    mean = values.mean(axis=(-2, -1))
    error, freedom = _error([values], alpha)
    reach = stdtrit(freedom, 1 - alpha / 2)
    if not share:
        return Interval(mean, mean - reach * error, mean + reach * error, error, freedom)
    low, high = _limits(values, error, np.where(error > 0, reach, ndtri(1 - alpha / 2)))
    return Interval(mean, low, high, error, freedom)


def difference_interval(
    first: "np.ndarray", second: "np.ndarray", same: bool, share: bool = False, alpha: float = ALPHA
) -> Interval:
    """`second` minus `first`, values (..., runs, items) of the same items. same: whether the runs are pairs of one seed.

    The limits of a difference of shares come from those of both shares and their correlation (Newcombe 1998, method 10), where
    these are wider than Student's: near 0 and 1 shares vary more to one side. They are never closer than those of a share that
    no item has: that all items were alike on both sides does not show that all items are.
    """
    import numpy as np
    from scipy.special import ndtri, stdtrit

    mean = second.mean(axis=(-2, -1)) - first.mean(axis=(-2, -1))
    error, freedom = _error([second - first] if same else [second, -first], alpha)
    reach = stdtrit(freedom, 1 - alpha / 2)
    if not share:
        return Interval(mean, mean - error * reach, mean + error * reach, error, freedom)
    normal = ndtri(1 - alpha / 2)
    means, errors, lows, highs = [], [], [], []
    for side in (first, second):
        means.append(side.mean(axis=(-2, -1)))
        errors.append(_error([side], alpha)[0])
        low, high = _limits(side, errors[-1], np.where(errors[-1] > 0, reach, normal))
        lows.append(means[-1] - low)
        highs.append(high - means[-1])
    both = errors[0] * errors[1]
    correlation = (errors[0] ** 2 + errors[1] ** 2 - error**2) / np.where(both > 0, 2 * both, 1)
    correlation = np.where(both > 0, np.clip(correlation, -1, 1), 0)
    _, alike = wilson(0.0, first.shape[-1], normal)
    least = np.maximum(alike, error * reach)
    down, up = (
        np.maximum(np.sqrt(np.maximum(a**2 + b**2 - 2 * correlation * a * b, 0)), least)
        for a, b in ((lows[1], highs[0]), (highs[1], lows[0]))
    )
    return Interval(mean, np.maximum(mean - down, -1), np.minimum(mean + up, 1), error, freedom)


def _limits(values: "np.ndarray", error: "np.ndarray", reach: "Numbers") -> tuple["np.ndarray", "np.ndarray"]:
    """Wilson's interval of a share with as many items as its standard error is worth; without one, with those that it has."""
    import numpy as np

    k, n = values.shape[-2:]
    mean = values.mean(axis=(-2, -1))
    worth = np.minimum(mean * (1 - mean) / np.where(error > 0, error**2, 1), k * n)
    return wilson(mean, np.where(error > 0, worth, n), reach)


def wilson(share: "Numbers", size: "Numbers", reach: "Numbers") -> tuple["np.ndarray", "np.ndarray"]:
    """Wilson's interval (low, high) of a share of `size` items, `reach` standard errors to each side."""
    import numpy as np

    square = np.square(reach) / size
    middle = (share + square / 2) / (1 + square)
    half = np.sqrt(square * (share * (1 - share) + square / 4)) / (1 + square)
    return np.maximum(middle - half, 0), np.minimum(middle + half, 1)


def averaged(runs: Runs) -> Table:
    """The mean over runs of every item that all have."""
    return {item: round(fmean(table[item] for table in runs.values()), EXACT) for item in shared(runs)}


def shared(runs: Runs) -> list[str]:
    """The items that every run has, in the order of the first."""
    first, *others = runs.values()
    return [item for item in first if all(item in table for table in others)]


def array(runs: Runs, items: list[str]) -> "np.ndarray":
    """The values as an array (runs, items), runs in the order of their seeds."""
    import numpy as np

    return np.array([[runs[seed][item] for item in items] for seed in sorted(runs)])


def _error(sides: Sequence["np.ndarray"], alpha: float) -> tuple["np.ndarray", "np.ndarray"]:
    """(standard error, degrees of freedom) of the sum of the sides' means. sides: arrays (..., runs, items) of the same items.

    The seeds of two sides vary independently; the items are the same for both. The degrees of freedom are those with which
    Student's t has Cochran's critical value.
    """
    import numpy as np
    from scipy.special import stdtridf, stdtrit

    means = sum(side.mean(axis=-2) for side in sides)
    n = means.shape[-1]
    items, of_sides, rest = means.var(axis=-1, ddof=1) / n, [], 0
    for side in sides:
        k = side.shape[-2]
        of_sides.append((side.mean(axis=-1).var(axis=-1, ddof=1) / k, k - 1))
        centred = side - side.mean(axis=-2, keepdims=True) - side.mean(axis=-1, keepdims=True)
        left = centred + side.mean(axis=(-2, -1), keepdims=True)
        # The rest is part of the terms of items and of runs, so it was counted twice.
        rest = rest + (left**2).sum(axis=(-2, -1)) / ((k - 1) * (n - 1)) / (k * n)
    runs, freedom = welch(of_sides)
    variance = np.maximum(np.maximum(items + runs - rest, items), runs)
    varies = variance > 10 ** (-2 * EXACT)
    of_runs = np.where(varies, runs / np.where(varies, variance, 1), 0)
    critical = of_runs * stdtrit(freedom, 1 - alpha / 2) + (1 - of_runs) * stdtrit(n - 1, 1 - alpha / 2)
    return np.where(varies, np.sqrt(variance), 0), stdtridf(1 - alpha / 2, critical)


def welch(sides: list[tuple["np.ndarray", int]]) -> tuple["np.ndarray", "np.ndarray"]:
    """The sum of independent variances and its degrees of freedom (Welch 1947), from (variance, degrees of freedom) of each."""
    import numpy as np

    whole = np.sum([variance for variance, _ in sides], axis=0)
    spread = np.sum([variance**2 / freedom for variance, freedom in sides], axis=0)
    return whole, np.where(spread > 0, whole**2 / np.where(spread > 0, spread, 1), 1.0)
