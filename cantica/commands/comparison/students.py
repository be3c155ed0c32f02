"""Student's t over seeds for *steps until*, of which a run has one value: the first checkpoint beyond a bound. Pure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cantica.commands.comparison.crossed import Interval, welch
from cantica.reporting.claims import Curve

if TYPE_CHECKING:
    import numpy as np


def gap(curve: Curve, iteration: int) -> int:
    """Return the number of iterations from the checkpoint before one, or from the start: so exact is the number of steps."""
    return iteration - max((before for before, _ in curve if before < iteration), default=0)


def student_interval(sides: Sequence["np.ndarray"], gaps: Sequence["np.ndarray"], alpha: float) -> Interval:
    """The sum of the means of independent sides with Student's t interval; Welch's for two sides.

    sides: arrays (..., runs). gaps: of each value, as `gap` returns it. Runs that agree may differ between two checkpoints, so
    their variance is at least what a gap can hide: gap² / 4 (Popoviciu 1935).
    """
    import numpy as np
    from scipy.special import stdtrit

    mean = np.sum([side.mean(axis=-1) for side in sides], axis=0)
    spreads = [
        (np.maximum(side.var(axis=-1, ddof=1), (own**2).mean(axis=-1) / 4) / side.shape[-1], side.shape[-1] - 1)
        for side, own in zip(sides, gaps, strict=True)
    ]
    variance, freedom = welch(spreads)
    error = np.sqrt(variance)
    reach = error * stdtrit(freedom, 1 - alpha / 2)
    return Interval(mean, mean - reach, mean + reach, error, freedom)
