"""How estimates read in reports: value, interval and conclusion.

Estimates of levels have `mean` or `share`, those of differences `difference`. Shares are shown in percent, and
differences of shares in percentage points (pp).
"""

from cantica.reporting.inference import ALPHA, FEWEST, Estimate, Unequal

INCONCLUSIVE = "inconclusive"
ENDED = {"truncated": "were truncated", "unfinished": "did not finish thinking"}
COUNTED = {"truncated": "truncated", "unfinished": "unfinished", "at_floor": "scored 0"}


def level(entry: Estimate, digits: int, share: bool = False) -> str:
    """A mean or a share; or a difference within an arm, which is one of shares if `share`."""
    if entry["n"] == 0:
        return "–"
    if "difference" in entry:
        return difference(entry, digits, share)
    return f"{100 * entry['share']:.0f}%" if "share" in entry else fixed(entry["mean"], digits)


def difference(entry: Estimate, digits: int, share: bool) -> str:
    """A difference with its sign."""
    if entry["n"] == 0:
        return "–"
    return f"{fixed(100 * entry['difference'], 0, '+')} pp" if share else fixed(entry["difference"], digits, "+")


def interval(entry: Estimate, digits: int, share: bool) -> str:
    """The interval in brackets, or why there is none."""
    if "low" not in entry:
        return f"n = {entry['n']}"
    if entry["low"] == entry["high"]:
        return "all equal"
    sign = "+" if "difference" in entry else ""
    ends = (fixed(100 * end, 0, sign) if share else fixed(end, digits, sign) for end in (entry["low"], entry["high"]))
    return f"[{', '.join(ends)}]"


def finding(entry: Estimate) -> str:
    """ "higher" or "lower" where the interval excludes 0 and the test agrees; else why there is no such conclusion."""
    if entry["n"] < FEWEST:
        return f"{INCONCLUSIVE}: fewer than {FEWEST} items"
    if doubt := "; ".join(text for text in (not_comparable(entry), _mixed(entry.get("opposed", {}))) if text):
        return doubt
    if entry["low"] <= 0 <= entry["high"] or entry["p"] >= ALPHA:
        return INCONCLUSIVE
    return "higher" if entry["difference"] > 0 else "lower"


def is_clear(entry: Estimate) -> bool:
    """Whether the conclusion is "higher" or "lower"."""
    return finding(entry) in ("higher", "lower")


def is_doubtful(entry: Estimate) -> bool:
    """Whether answers ended differently or groups differ in opposite directions, so that the value itself misleads."""
    return not is_clear(entry) and not finding(entry).startswith(INCONCLUSIVE)


def not_comparable(entry: Estimate) -> str:
    """Why the scores of two arms cannot be compared: their answers ended differently. "" where they can."""
    found: Unequal = entry.get("unequal", {})
    reasons = []
    for kind in [kind for kind in ENDED if kind in found]:
        (one, before), (other, after) = found[kind].items()
        answers = found["of"]
        reasons.append(f"{after} of {answers[other]} answers of {other} {ENDED[kind]}, {before} of {answers[one]} of {one}")
    return f"not comparable ({'; '.join(reasons)})" if reasons else ""


def _mixed(found: dict[str, float]) -> str:
    ways = [[group.replace("_", " ") for group, value in found.items() if (value > 0) == up] for up in (True, False)]
    return f"mixed: higher for {', '.join(ways[0])}; lower for {', '.join(ways[1])}" if found else ""


def ended(entry: Estimate) -> str:
    """How many of the answers behind an estimate were truncated, unfinished or scored 0; "" where none was."""
    numbers = {word: entry.get(kind) for kind, word in COUNTED.items()}
    return ", ".join(f"{number} {word}" for word, number in numbers.items() if number)


def p_value(entry: Estimate) -> str:
    """p with three decimals."""
    if "p" not in entry:
        return "–"
    return "< 0.001" if entry["p"] < 0.001 else f"{entry['p']:.3f}"


def fixed(value: float, digits: int, sign: str = "") -> str:
    """A number with a fixed number of decimals, a true minus and no negative zero."""
    text = f"{value:{sign}.{digits}f}"
    if not text.strip("+-0."):
        text = text.lstrip("+-")
    return text.replace("-", "−")


FILTERS = (difference, ended, finding, fixed, interval, is_clear, is_doubtful, level, not_comparable, p_value)
