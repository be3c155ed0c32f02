"""The power of a claim: how likely a true effect is found with what was measured. Pure.

The observed variances are used as if they were the true ones, so that both numbers are estimates.
"""

from cantica.commands.comparison.crossed import Interval
from cantica.reporting.inference import POWER
from cantica.settings.claims import Bound

Limits = tuple[float, float]  # the least and the greatest value


def power(found: Interval, bound: Bound, distance: float, alpha: float) -> float | None:
    """Return the chance that the interval excludes the bound if the true value lies `distance` beyond it, as claimed."""
    error, critical = _scale(found, bound, alpha)
    if error <= 0:
        return None
    import numpy as np
    from scipy.special import nctdtr

    missed = nctdtr(float(found.freedom), distance / error, critical)
    return 1 - float(np.nan_to_num(missed, nan=0.0))  # it is nan only where it is less than the smallest number


def detectable(found: Interval, bound: Bound, alpha: float, limits: Limits) -> float | None:
    """Return the smallest distance from the bound, on the claimed side, at which the power is POWER.

    limits: of the values. None if no value lies so far from the bound.
    """
    error, critical = _scale(found, bound, alpha)
    if error <= 0:
        return None
    from scipy.special import nctdtrinc

    distance = float(nctdtrinc(float(found.freedom), 1 - POWER, critical)) * error
    least, greatest = limits
    room = greatest - bound.value if bound.direction == "above" else bound.value - least
    return distance if distance <= room else None


def _scale(found: Interval, bound: Bound, alpha: float) -> tuple[float, float]:
    """Return the standard error and the critical value of the side of an interval that has to exclude the bound."""
    from scipy.special import stdtrit

    critical = float(stdtrit(float(found.freedom), 1 - alpha / 2))
    reach = found.mean - found.low if bound.direction == "above" else found.high - found.mean
    return float(reach) / critical, critical
