"""Intervals, tests and effect sizes. Pure: numbers in, numbers out; all randomness comes from a seed.

The unit is the item (a prompt, a pair, a category); the samples of one item are averaged first. Intervals cover 95%; tests are
two-sided. A key is left out if there are too few items for it: one value has no interval.
"""

import math
from collections.abc import Iterable, Iterator
from statistics import fmean, stdev
from typing import TypedDict, TypeVar

ALPHA, POWER = 0.05, 0.8
# With fewer differences than this, p cannot be below ALPHA: for five, the smallest p is 2 / 2**5 = 0.0625.
FEWEST = 6
EXACT = 20  # up to this many differences, all patterns of signs are counted (at most 2**20)
AT_ONCE = 1 << 20  # random numbers that are generated at a time

Key = TypeVar("Key")
Unequal = dict[str, dict[str, int]]  # as `endings.unequal_endings` returns it


class Estimate(TypedDict, total=False):
    """A mean, share or difference, with its statistics. Estimates are the leaves of reports/metrics.json and details.json.

    low, high: the 95% interval. p: of the sign-flip test. effect: Cohen's d_z. detectable: the smallest true difference that n
    items detect with a power of 0.8. n: number of items. failed: number of null verdicts. truncated, unfinished, at_floor:
    numbers of answers. unequal: see `endings.unequal_endings`. opposed: see `rows.opposed`.
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
    """The seed of the random generator, and the number of bootstrap resamples or random sign patterns."""

    seed: int
    resamples: int


def mean(values: Iterable[float], seed: int, resamples: int) -> Estimate:
    """Return {"mean", "low", "high", "n"} with the expanded percentile bootstrap interval of Hesterberg (2015, sec. 5.1).

    With few values the percentile interval is too narrow. The expanded one uses wider quantiles, so that for normal values it
    is as wide as Student's t interval. It never goes beyond the values. So with fewer than six values its coverage is at most
    1 - 2 / 2**n, and if all values are equal it has no width. With eight skewed values its coverage is 90%, the same as that of
    Student's t (see the slow test in tests/reporting/test_inference.py).
    """
    values = sorted(values)  # so that the result does not depend on the order of the items
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
    """Return {"share", "low", "high", "n"} with Wilson's (1927) score interval.

    values: 0 or 1 for each item, or the share of its samples. n is the number of items, as if all samples of an item were
    equal. If they are not, the interval is wider than necessary.
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
    """Compare `second` with `first` on the items that both have: return the estimate of the mean of `second` - `first`.

    Its keys are "difference", "low", "high", "p", "effect", "detectable" and "n". p is from `sign_flip`. effect is Cohen's d_z:
    the mean of the differences divided by their standard deviation. It is left out if all differences are equal and not 0.
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
    """Return p of Fisher's (1935) sign-flip (paired permutation) test. Null hypothesis: differences are symmetric about 0.

    If at most EXACT differences are not 0, all patterns of signs are counted. Otherwise `resamples` random patterns and the
    observed one are counted: p = (b + 1) / (m + 1), so that p is never too small (Phipson and Smyth 2010).
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
    """Return the sizes of batches of resamples. Batches are small for a large n, so that memory does not grow with n."""
    step = max(1, AT_ONCE // n)
    return (min(step, resamples - start) for start in range(0, resamples, step))


def detectable(spread: float, n: int) -> float:
    """Return the smallest true difference that a paired t test of n differences detects with POWER at ALPHA (Cohen 1988).

    spread: the observed standard deviation of the differences. It is used as if it were the true one, so the result is an
    estimate. It is not corrected for multiple comparisons. The sign-flip test has slightly less power: 0.77 with eight
    differences.
    """
    from scipy.special import nctdtrinc, stdtrit

    return float(nctdtrinc(n - 1, 1 - POWER, stdtrit(n - 1, 1 - ALPHA / 2))) * spread / math.sqrt(n)


def holm(p: dict[Key, float]) -> dict[Key, float]:
    """Return the p values of a family, adjusted with Holm's (1979) step-down method, which controls the family-wise error."""
    adjusted, least = {}, 0.0
    for place, name in enumerate(sorted(p, key=p.__getitem__)):
        least = max(least, min(1.0, (len(p) - place) * p[name]))
        adjusted[name] = least
    return {name: adjusted[name] for name in p}
