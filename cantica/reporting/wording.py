"""Write estimates as text for reports: value, interval and conclusion.

The estimate of a level has `mean` or `share`, the estimate of a difference has `difference`. Shares are shown in percent, and
differences of shares in percentage points (pp).
"""

from cantica.reporting.inference import ALPHA, FEWEST, Estimate, Unequal

INCONCLUSIVE = "inconclusive"
ENDED = {"truncated": "were truncated", "unfinished": "did not finish thinking"}
COUNTED = {"truncated": "truncated", "unfinished": "unfinished", "at_floor": "scored 0"}


def level(estimate: Estimate, digits: int, share: bool = False) -> str:
    """Return a mean or share as text, or a difference within an arm. share: whether that is a difference of shares."""
    if estimate["n"] == 0:
        return "–"
    if "difference" in estimate:
        return difference(estimate, digits, share)
    return f"{100 * estimate['share']:.0f}%" if "share" in estimate else fixed(estimate["mean"], digits)


def difference(estimate: Estimate, digits: int, share: bool) -> str:
    """Return a difference as text, with its sign. share: whether it is a difference of shares."""
    if estimate["n"] == 0:
        return "–"
    return f"{fixed(100 * estimate['difference'], 0, '+')} pp" if share else fixed(estimate["difference"], digits, "+")


def interval(estimate: Estimate, digits: int, share: bool) -> str:
    """Return the interval in brackets, or the reason why there is none; "" for no items at all."""
    if estimate["n"] == 0:
        return ""
    if "low" not in estimate:
        return f"n = {estimate['n']}"
    if estimate["low"] == estimate["high"]:
        return "(all equal)"
    sign = "+" if "difference" in estimate else ""
    ends = (fixed(100 * end, 0, sign) if share else fixed(end, digits, sign) for end in (estimate["low"], estimate["high"]))
    return f"[{', '.join(ends)}]"


def finding(estimate: Estimate) -> str:
    """Return the conclusion: "higher" or "lower" if the interval excludes 0 and p < ALPHA; otherwise why there is none."""
    if estimate["n"] < FEWEST:
        return f"{INCONCLUSIVE}: fewer than {FEWEST} items"
    if doubt := "; ".join(text for text in (not_comparable(estimate), _mixed(estimate.get("opposed", {}))) if text):
        return doubt
    if estimate["low"] <= 0 <= estimate["high"] or estimate["p"] >= ALPHA:
        return INCONCLUSIVE
    return "higher" if estimate["difference"] > 0 else "lower"


def is_clear(estimate: Estimate) -> bool:
    """Return whether the conclusion is "higher" or "lower"."""
    return finding(estimate) in ("higher", "lower")


def is_doubtful(estimate: Estimate) -> bool:
    """Return whether the value misleads: answers ended differently, or groups differ in opposite directions."""
    return not is_clear(estimate) and not finding(estimate).startswith(INCONCLUSIVE)


def not_comparable(estimate: Estimate) -> str:
    """Return why the scores of two arms cannot be compared (their answers ended differently), or "" if they can."""
    found: Unequal = estimate.get("unequal", {})
    reasons = []
    for kind in [kind for kind in ENDED if kind in found]:
        (one, before), (other, after) = found[kind].items()
        answers = found["of"]
        reasons.append(f"{after} of {answers[other]} answers of {other} {ENDED[kind]}, {before} of {answers[one]} of {one}")
    return f"not comparable ({'; '.join(reasons)})" if reasons else ""


def _mixed(found: dict[str, float]) -> str:
    ways = [[group.replace("_", " ") for group, value in found.items() if (value > 0) == up] for up in (True, False)]
    return f"mixed: higher for {', '.join(ways[0])}; lower for {', '.join(ways[1])}" if found else ""


def ended(estimate: Estimate) -> str:
    """Return how many answers behind an estimate were truncated, unfinished or scored 0, or "" if none was."""
    numbers = {word: estimate.get(kind) for kind, word in COUNTED.items()}
    return ", ".join(f"{number} {word}" for word, number in numbers.items() if number)


def p_value(estimate: Estimate) -> str:
    """Return p as text with three decimals."""
    if "p" not in estimate:
        return "–"
    return "< 0.001" if estimate["p"] < 0.001 else f"{estimate['p']:.3f}"


def fixed(value: float, digits: int, sign: str = "") -> str:
    """Return a number as text with `digits` decimals, a true minus sign and no negative zero."""
    text = f"{value:{sign}.{digits}f}"
    if not text.strip("+-0."):
        text = text.lstrip("+-")
    return text.replace("-", "−")


FILTERS = (difference, ended, finding, fixed, interval, is_clear, is_doubtful, level, not_comparable, p_value)
