"""Intervals, tests and effect sizes. Pure: numbers in, numbers out; all randomness comes from a seed.

The unit is the item (a prompt, a pair, a category): the samples of one item are averaged before they come here. Intervals cover
95%; tests are two-sided. Keys that the items do not support are absent: one value has no interval.
"""

import math
from collections.abc import Iterable, Iterator
from statistics import fmean, stdev
from typing import TypedDict, TypeVar

ALPHA, POWER = 0.05, 0.8
# With fewer differences than this, no pattern of signs is rarer than ALPHA: 2 / 2**5 is 0.0625.
FEWEST = 6
EXACT = 20  # up to this many differences, all 2**20 patterns of signs are counted
AT_ONCE = 1 << 20  # random numbers at a time

Key = TypeVar("Key")
Unequal = dict[str, dict[str, int]]  # as `endings.unequal_endings` returns it


class Estimate(TypedDict, total=False):
    """A mean, share or difference with what is known of it: the leaves of reports/metrics.json and details.json.

    low, high: its 95% interval. p: of the sign-flip test. effect: Cohen's d_z. detectable: the smallest true difference that so
    many items detect with a power of 0.8. n: items. failed: null verdicts. truncated, unfinished, at_floor: counts of answers.
    unequal: where answers of two arms ended differently. opposed: differences of groups in opposite directions.
    """

    mean: float
    share: float
    difference: float
    low: float
    high: float
    p: float
    effect: float
    detectable: float
    n: int
    failed: int
    truncated: int
    unfinished: int
    at_floor: int
    unequal: Unequal
    opposed: dict[str, float]


class Resampling(TypedDict):
    """The seed of the generator, and how many bootstrap resamples or patterns of signs it makes."""

    seed: int
    resamples: int


def mean(values: Iterable[float], seed: int, resamples: int) -> Estimate:
    """{"mean", "low", "high", "n"} with the expanded percentile bootstrap interval of Hesterberg (2015, sec. 5.1).

    The percentile interval of few values is too narrow. The expanded one takes the quantiles at which it would be as wide
    as Student's t interval if the values were normal. It stays within the values, so with fewer than six its coverage is at
    most 1 - 2 / 2**n, and it has no width where all values are equal. With eight skewed values its coverage is 90%, as that of
    Student's t (the slow test in tests/reporting/test_inference.py).
    """
    values = sorted(values)  # so that neither the items' order nor their names matter
    if not values:
        return {"n": 0}
    if len(values) == 1:
        return {"mean": values[0], "n": 1}
    import numpy as np
    from scipy.special import ndtr, stdtrit

    n, source = len(values), np.array(values)
    tail = ndtr(math.sqrt(n / (n - 1)) * stdtrit(n - 1, ALPHA / 2))
    rng = np.random.default_rng(seed)
    means = [source[rng.integers(0, n, (size, n))].mean(axis=1) for size in _batches(resamples, n)]
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return {"mean": fmean(values), "low": float(low), "high": float(high), "n": n}


def share(values: Iterable[float]) -> Estimate:
    """{"share", "low", "high", "n"} with Wilson's (1927) score interval.

    values: 0 or 1 of each item, or the share of an item's samples. n is the number of items, as if the samples of one item
    were all equal. Where they are not, the interval is wider than necessary.
    """
    values = list(values)
    if not values:
        return {"n": 0}
    from scipy.special import ndtri

    n, p, z = len(values), fmean(values), float(ndtri(1 - ALPHA / 2))
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return {"share": p, "low": max(0.0, middle - reach), "high": min(1.0, middle + reach), "n": n}


def paired(first: dict[str, float], second: dict[str, float], seed: int, resamples: int) -> Estimate:
    """`second` minus `first` over the items that both have: {"difference", "low", "high", "p", "effect", "detectable", "n"}.

    p is that of `sign_flip`. effect is Cohen's d_z, mean over standard deviation of the differences; it is not defined where
    all differences are equal and not 0.
    """
    differences = [second[item] - first[item] for item in first if item in second]
    bootstrap = mean(differences, seed, resamples)
    n = bootstrap["n"]
    if n == 0:
        return bootstrap
    result: Estimate = {"difference": bootstrap["mean"]}
    if "low" in bootstrap:
        result |= {"low": bootstrap["low"], "high": bootstrap["high"]}
    result["p"] = sign_flip(differences, seed, resamples)
    spread = stdev(differences) if n > 1 else 0.0
    if spread > 0 or (n > 1 and not any(differences)):
        result["effect"] = result["difference"] / spread if spread else 0.0
    if spread > 0 and n >= FEWEST:
        result["detectable"] = detectable(spread, n)
    return result | {"n": n}


def sign_flip(differences: list[float], seed: int, resamples: int) -> float:
    """p of the sign-flip (paired permutation) test of Fisher (1935). Null hypothesis: the differences are symmetric about 0.

    Up to EXACT differences that are not 0, all patterns of signs are counted. Beyond, `resamples` random patterns are, and the
    observed one is counted among them, (b + 1) / (m + 1), so that p is never too small (Phipson and Smyth 2010).
    """
    import numpy as np

    sizes = np.sort(np.abs([d for d in differences if d]))  # a difference of 0 has no sign
    observed = abs(math.fsum(differences)) - 1e-9 * math.fsum(sizes)  # sums of the same numbers differ in their last digits
    if len(sizes) <= EXACT:
        sums = np.zeros(1)
        for size in sizes:
            sums = np.concatenate([sums + size, sums - size])
        return float(np.mean(np.abs(sums) >= observed))
    rng = np.random.default_rng(seed)
    beyond = 0
    for rows in _batches(resamples, len(sizes)):
        signs = rng.integers(0, 2, (rows, len(sizes)), dtype=np.int8)
        beyond += int(np.sum(np.abs(np.where(signs, sizes, -sizes).sum(axis=1)) >= observed))
    return (beyond + 1) / (resamples + 1)


def _batches(resamples: int, n: int) -> Iterator[int]:
    """The sizes of batches of resamples of n values, so that memory does not grow with n."""
    step = max(1, AT_ONCE // n)
    return (min(step, resamples - start) for start in range(0, resamples, step))


def detectable(spread: float, n: int) -> float:
    """The smallest true difference that a paired t test of n differences detects with POWER at ALPHA (Cohen 1988).

    spread: the standard deviation of the differences; the test's statistic is then noncentral t. The observed spread is taken
    for the true one, so this is an estimate, and it is not corrected for several comparisons. The sign-flip test of eight
    differences has a little less power, 0.77.
    """
    from scipy.special import nctdtrinc, stdtrit

    return float(nctdtrinc(n - 1, 1 - POWER, stdtrit(n - 1, 1 - ALPHA / 2))) * spread / math.sqrt(n)


def holm(p: dict[Key, float]) -> dict[Key, float]:
    """p values of a family, adjusted by Holm's (1979) step-down, which limits the family-wise error to ALPHA."""
    adjusted, least = {}, 0.0
    for place, name in enumerate(sorted(p, key=p.__getitem__)):
        least = max(least, min(1.0, (len(p) - place) * p[name]))
        adjusted[name] = least
    return {name: adjusted[name] for name in p}
