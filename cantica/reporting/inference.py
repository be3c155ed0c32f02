"""Intervals, tests and effect sizes. Pure: numbers in, numbers out; whatever is drawn is drawn from a seed.

The unit is the item (a prompt, a pair, a category): values of one item's several samples are averaged before they come here.
All intervals are of 95%, all tests two-sided. What a sample cannot tell is left out of the answer: one value has no interval.
"""

import math
from collections.abc import Iterable, Iterator
from statistics import fmean, stdev

ALPHA, POWER = 0.05, 0.8
# With fewer differences than this, no pattern of signs is rarer than ALPHA: 2 / 2**5 is 0.0625.
FEWEST = 6
EXACT = 20  # differences whose 2**20 patterns of signs are all counted
AT_ONCE = 1 << 20  # numbers that are drawn at a time


def mean(values: Iterable[float], seed: int, resamples: int) -> dict[str, float]:
    """{"mean", "low", "high", "n"} with the expanded percentile bootstrap interval of Hesterberg (2015, sec. 5.1).

    The percentile interval of few values is too narrow. The expanded one takes the quantiles at which it would be as wide
    as Student's t interval if the values were normal. It stays within the values, so that with fewer than six its coverage
    is at most 1 - 2 / 2**n, and has no width where all values are alike: there a bootstrap knows nothing. Eight skewed values
    are covered nine times in ten, as by Student's t (the slow test in tests/reporting/test_inference.py).
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
    draws = np.random.default_rng(seed)
    means = [source[draws.integers(0, n, (size, n))].mean(axis=1) for size in _sizes(resamples, n)]
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return {"mean": fmean(values), "low": float(low), "high": float(high), "n": n}


def share(values: Iterable[float]) -> dict[str, float]:
    """{"share", "low", "high", "n"} with Wilson's (1927) score interval.

    values: 0 or 1 of each item, or the share of an item's samples. n is the number of items, as if the samples of one all
    said the same: where they do not, the interval is wider than it need be.
    """
    values = list(values)
    if not values:
        return {"n": 0}
    from scipy.special import ndtri

    n, p, z = len(values), fmean(values), float(ndtri(1 - ALPHA / 2))
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return {"share": p, "low": max(0.0, middle - reach), "high": min(1.0, middle + reach), "n": n}


def paired(first: dict[str, float], second: dict[str, float], seed: int, resamples: int) -> dict[str, float]:
    """`second` minus `first` over the items that both have: {"difference", "low", "high", "p", "effect", "detectable", "n"}.

    p is `sign_flip`'s. effect is Cohen's d_z, mean over standard deviation of the differences; it has no value where all
    differences are alike and not 0.
    """
    differences = [second[item] - first[item] for item in first if item in second]
    about = mean(differences, seed, resamples)
    if about["n"] == 0:
        return about
    result = {"difference": about.pop("mean")} | about
    n = result.pop("n")
    result["p"] = sign_flip(differences, seed, resamples)
    spread = stdev(differences) if n > 1 else 0.0
    if spread > 0 or (n > 1 and not any(differences)):
        result["effect"] = result["difference"] / spread if spread else 0.0
    if spread > 0 and n >= FEWEST:
        result["detectable"] = detectable(spread, n)
    return result | {"n": n}


def sign_flip(differences: list[float], seed: int, resamples: int) -> float:
    """p of the sign-flip (paired permutation) test of Fisher (1935): that the differences lie symmetrically about 0.

    Up to EXACT differences that are not 0, all patterns of signs are counted; beyond, `resamples` are drawn and the observed
    one is counted among them, (b + 1) / (m + 1), so that p is never too small (Phipson and Smyth 2010).
    """
    import numpy as np

    sizes = np.sort(np.abs([d for d in differences if d]))  # a difference of 0 has no sign
    reached = abs(math.fsum(differences)) - 1e-9 * math.fsum(sizes)  # sums of the same numbers differ in their last digits
    if len(sizes) <= EXACT:
        sums = np.zeros(1)
        for size in sizes:
            sums = np.concatenate([sums + size, sums - size])
        return float(np.mean(np.abs(sums) >= reached))
    draws = np.random.default_rng(seed)
    beyond = 0
    for rows in _sizes(resamples, len(sizes)):
        signs = draws.integers(0, 2, (rows, len(sizes)), dtype=np.int8)
        beyond += int(np.sum(np.abs(np.where(signs, sizes, -sizes).sum(axis=1)) >= reached))
    return (beyond + 1) / (resamples + 1)


def _sizes(resamples: int, n: int) -> Iterator[int]:
    """How many resamples of n values to draw at a time, so that memory does not grow with n."""
    step = max(1, AT_ONCE // n)
    return (min(step, resamples - start) for start in range(0, resamples, step))


def detectable(spread: float, n: int) -> float:
    """The smallest true difference that a paired t test of n differences would find with POWER at ALPHA (Cohen 1988).

    spread: the standard deviation of the differences. The test's statistic is then noncentral t. The observed spread is
    taken for the true one, so this is an estimate, and without a correction for several comparisons. The sign-flip test of
    eight differences finds it a little less often, 77 times in 100.
    """
    from scipy.special import nctdtrinc, stdtrit

    return float(nctdtrinc(n - 1, 1 - POWER, stdtrit(n - 1, 1 - ALPHA / 2))) * spread / math.sqrt(n)


def holm(p: dict[str, float]) -> dict[str, float]:
    """p values of one family, adjusted by Holm's (1979) step-down: reject those below ALPHA, at most 5% err in any of them."""
    adjusted, least = {}, 0.0
    for place, name in enumerate(sorted(p, key=p.__getitem__)):
        least = max(least, min(1.0, (len(p) - place) * p[name]))
        adjusted[name] = least
    return {name: adjusted[name] for name in p}


def backward_transfer(rows: list[dict[str, float]], learnt: dict[str, int]) -> dict[str, float]:
    """What the steps after a category's own did to its loss: its loss right after its own step minus that after the last.

    rows: the loss of each category (nats a token) after each step of a chain, the base model left out. learnt: the row of
    the step that trained on a category. Lopez-Paz and Ranzato (2017, arXiv:1706.08840) define R(T,i) - R(i,i) on accuracies;
    losses are better when lower, so the terms change places, and as there a positive number means that later steps helped.
    Only categories that were learnt before the last step have one.
    """
    return {name: rows[own][name] - rows[-1][name] for name, own in learnt.items() if own < len(rows) - 1}


def forgetting(rows: list[dict[str, float]], learnt: dict[str, int]) -> dict[str, float]:
    """How much of the best that was known of a category is lost: its loss after the last step minus its least before that.

    Arguments as in `backward_transfer`. Chaudhry et al. (2018, arXiv:1801.10112) define max over l < k of a(l,j), minus
    a(k,j), on accuracies; with losses the maximum becomes a minimum and the terms change places, and as there a positive
    number means forgotten. A negative one means that the last step left the category better than it ever was.
    """
    return {name: rows[-1][name] - min(row[name] for row in rows[:-1]) for name, own in learnt.items() if own < len(rows) - 1}
