"""Cohen's kappa: agreement of two judges beyond chance."""

from collections import Counter
from collections.abc import Callable, Sequence

Weight = Callable[[float, float], float]


def unequal(a: float, b: float) -> float:
    """1 for two scores that differ, whatever the distance."""
    return float(a != b)


def squared(a: float, b: float) -> float:
    """The squared distance of two scores."""
    return (a - b) ** 2


def cohen_kappa(
    first: Sequence[float], second: Sequence[float], weight: Callable[[float, float], float] = unequal
) -> float | None:
    """Cohen's kappa of two judges' scores of the same items: 1 minus observed disagreement / disagreement by chance.

    Chance is each judge's own distribution of scores. `weight` is the disagreement of two scores: `unequal` gives Cohen (1960),
    `squared` the quadratically weighted kappa (Cohen 1968). None if all scores are equal or there are none: then there is no
    disagreement by chance.
    """
    counts = Counter(first), Counter(second)
    observed = sum(weight(a, b) for a, b in zip(first, second, strict=True)) * len(first)
    chance = sum(n * m * weight(a, b) for a, n in counts[0].items() for b, m in counts[1].items())
    return 1 - observed / chance if chance else None
