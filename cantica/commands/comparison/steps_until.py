"""The first checkpoint at which a measure has passed a rate: one value for each run, with Student's t over seeds. Pure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cantica.commands.comparison.crossed import Interval, welch
from cantica.settings.claims import Bound

if TYPE_CHECKING:
    import numpy as np

Curve = list[list[float]]  # [[iteration, rate], …], by iteration; the last is the end of the step


def passed(curve: Curve, rate: Bound) -> tuple[float, float]:
    """Return (iteration, gap): the first iteration at which the curve has passed a rate, or the last one if it never does.

    The gap is the number of iterations since the checkpoint before it, or since the start: the value is as exact as that.
    """
    before = 0.0
    for iteration, value in curve:
        if rate.holds(value) or iteration == curve[-1][0]:
            break
        before = iteration
    return iteration, iteration - before


def interval(sides: Sequence["np.ndarray"], gaps: Sequence["np.ndarray"], alpha: float) -> Interval:
    """The sum of the means of independent sides with Student's t interval; Welch's for two sides.

    sides: arrays (..., runs). gaps: of each value, as `passed` returns them. If runs agree more than checkpoints can tell
    apart, their variance is that of rounding to checkpoints, gap² / 12 (Sheppard 1898).
    """
    import numpy as np
    from scipy.special import stdtrit

    mean = np.sum([side.mean(axis=-1) for side in sides], axis=0)
    spreads = [
        (np.maximum(side.var(axis=-1, ddof=1), (own**2).mean(axis=-1) / 12) / side.shape[-1], side.shape[-1] - 1)
        for side, own in zip(sides, gaps, strict=True)
    ]
    variance, freedom = welch(spreads)
    error = np.sqrt(variance)
    reach = error * stdtrit(freedom, 1 - alpha / 2)
    return Interval(mean, mean - reach, mean + reach, error, freedom)
