"""Means and differences of several runs that were measured on the same items, over the variation of runs and of items. Pure.

A training seed moves all items of its run together, so runs × items are not as many independent numbers. With runs and items
crossed, the variance of the grand mean of k runs and n items is (MS_runs + MS_items - MS_rest) / (k n), the denominator of
Clark's (1973) quasi-F, with Satterthwaite's (1946) degrees of freedom. Components of variance are not negative, so the estimate
is at least the larger of its two parts alone. In simulations the intervals have the stated coverage with three seeds or more;
with two seeds, and seeds that matter as much as the rest, 90% (the slow test in tests/commands/test_crossed.py).
Otherwise as in `reporting.inference`: 95% intervals, two-sided tests, and keys that the data do not support are absent.
"""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from cantica.reporting import inference
from cantica.reporting.inference import ALPHA, FEWEST, POWER, Estimate
from cantica.reporting.measures import Table

if TYPE_CHECKING:
    import numpy as np

Runs = dict[str, Table]  # {seed: {item: value}}
EXACT = 12  # decimals; means of the same numbers differ in later ones


class OverSeeds(Estimate, total=False):
    """An estimate over runs with several seeds."""

    seeds: int


def level(runs: Runs, share: bool) -> OverSeeds:
    """{"mean" or "share", "low", "high", "n", "seeds"} over the items that all runs have. runs: at least two.

    A share that is the same for all items and runs has Wilson's interval, as if of one run.
    """
    values = _values(runs, _shared(runs))
    about: OverSeeds = {"n": len(values[0]), "seeds": len(values)}
    if about["n"] == 0:
        return about
    middle = float(values.mean())
    mean: OverSeeds = {"share": middle} if share else {"mean": middle}
    if about["n"] == 1:
        return mean | about
    error, freedom = _error([values])
    if share and error == 0:
        whole: OverSeeds = {**inference.share(values.mean(axis=0).tolist())}
        return whole | about
    low, high = _interval(middle, error, freedom)
    mean |= {"low": max(low, 0.0), "high": min(high, 1.0)} if share else {"low": low, "high": high}
    return mean | about


def difference(first: Runs, second: Runs, seed: int, resamples: int) -> OverSeeds:
    """`second` minus `first`: {"difference", "low", "high", "p", "detectable", "n", "seeds"}. Both have at least two runs.

    Where both have the same seeds, each run is paired with the run of its seed; otherwise the seeds of each side vary
    independently. The items are those that all runs have. Where all differences are equal there is no variance, and p is that
    of `sign_flip` over the items, with `seed` and `resamples`.
    """
    items = _shared(first | {f"second {name}": table for name, table in second.items()})
    before, after = _values(first, items), _values({name: second[name] for name in sorted(second)}, items)
    about: OverSeeds = {"n": len(items), "seeds": min(len(first), len(second))}
    if about["n"] == 0:
        return about
    found: OverSeeds = {"difference": round(float(after.mean() - before.mean()), EXACT)}
    if about["n"] == 1:
        return found | {"p": 1.0} | about
    same = sorted(first) == sorted(second)
    error, freedom = _error([after - before] if same else [after, -before])
    found["low"], found["high"] = _interval(found["difference"], error, freedom)
    if error == 0:
        return found | {"p": inference.sign_flip([found["difference"]] * len(items), seed, resamples)} | about
    from scipy.special import nctdtrinc, stdtr, stdtrit

    found["p"] = float(2 * stdtr(freedom, -abs(found["difference"]) / error))
    if len(items) >= FEWEST:
        found["detectable"] = float(nctdtrinc(freedom, 1 - POWER, stdtrit(freedom, 1 - ALPHA / 2))) * error
    return found | about


def averaged(runs: Runs) -> Table:
    """The mean over runs of every item that all have."""
    return {item: round(fmean(table[item] for table in runs.values()), EXACT) for item in _shared(runs)}


def _shared(runs: Runs) -> list[str]:
    """The items that every run has, in the order of the first."""
    first, *others = runs.values()
    return [item for item in first if all(item in table for table in others)]


def _values(runs: Runs, items: list[str]) -> "np.ndarray":
    """The values as an array (runs, items), runs in the order of their seeds."""
    import numpy as np

    return np.array([[runs[seed][item] for item in items] for seed in sorted(runs)])


def _error(sides: Sequence["np.ndarray"]) -> tuple[float, float]:
    """(standard error, degrees of freedom) of the sum of the sides' means. sides: arrays (runs, items) of the same items.

    The seeds of two sides vary independently; the items are the same for both.
    """
    means = sum(side.mean(axis=0) for side in sides)
    n = len(means)
    items = [(float(means.var(ddof=1)) / n, n - 1)]
    runs, rest = [], []
    for side in sides:
        k = len(side)
        runs.append((float(side.mean(axis=1).var(ddof=1)) / k, k - 1))
        left = side - side.mean(axis=0) - side.mean(axis=1, keepdims=True) + side.mean()
        degrees = (k - 1) * (n - 1)
        # The rest is part of the terms of items and of runs, so it was counted twice.
        rest.append((-float((left**2).sum()) / degrees / (k * n), degrees))
    estimates = [_satterthwaite(terms) for terms in (items + runs + rest, items, runs)]
    # Equal estimates may differ in their last digits, by the order of the sides: the first of them counts.
    variance, freedom = max(estimates, key=lambda found: float(f"{found[0]:.{EXACT}g}"))
    return (math.sqrt(variance), freedom) if variance > 10 ** (-2 * EXACT) else (0.0, freedom)


def _satterthwaite(terms: list[tuple[float, int]]) -> tuple[float, float]:
    """The sum of some estimates of variance and its degrees of freedom, from (estimate, degrees of freedom) of each."""
    whole = sum(estimate for estimate, _ in terms)
    spread = sum(estimate**2 / freedom for estimate, freedom in terms)
    return whole, whole**2 / spread if spread else 1.0


def _interval(mean: float, error: float, freedom: float) -> tuple[float, float]:
    from scipy.special import stdtrit

    reach = float(stdtrit(freedom, 1 - ALPHA / 2)) * error
    return mean - reach, mean + reach
