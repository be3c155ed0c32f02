"""How numbers with intervals read in a report: of an entry of details.json, its value, its interval and what follows from it.

Entries of levels have `mean` or `share`, those of differences `difference`. Shares read in percent, their differences in
percentage points.
"""

from cantica.reporting.inference import ALPHA, FEWEST

NOTHING = "nothing can be concluded"
UNLIKE = {"cut": "were cut", "unfinished": "never finished their thinking"}
COUNTS = {"cut": "cut", "unfinished": "unfinished", "floored": "at the floor"}


def level(entry: dict, digits: int, share: bool = False) -> str:
    """A mean, a share, or a difference within an arm, which is one of shares if `share` says so."""
    if entry["n"] == 0:
        return "–"
    if "difference" in entry:
        return difference(entry, digits, share)
    return f"{100 * entry['share']:.0f}%" if "share" in entry else fixed(entry["mean"], digits)


def difference(entry: dict, digits: int, share: bool) -> str:
    """A difference with its sign."""
    if entry["n"] == 0:
        return "–"
    return f"{fixed(100 * entry['difference'], 0, '+')} pp" if share else fixed(entry["difference"], digits, "+")


def interval(entry: dict, digits: int, share: bool) -> str:
    """The interval in brackets, or why there is none."""
    if "low" not in entry:
        return f"n = {entry['n']}"
    if entry["low"] == entry["high"]:
        return "all alike"
    sign = "+" if "difference" in entry else ""
    ends = (fixed(100 * entry[end], 0, sign) if share else fixed(entry[end], digits, sign) for end in ("low", "high"))
    return f"[{', '.join(ends)}]"


def finding(entry: dict) -> str:
    """What a difference shows: "higher" or "lower" where the interval excludes 0 and the test agrees, else why nothing.

    Nothing either where the answers of the two sides did not end alike, or where groups go opposite ways.
    """
    if entry["n"] < FEWEST:
        return f"{NOTHING}: too few"
    if doubt := "; ".join(text for text in (unlike(entry), _opposed(entry.get("opposed", {}))) if text):
        return doubt
    if entry["low"] <= 0 <= entry["high"] or entry["p"] >= ALPHA:
        return NOTHING
    return "higher" if entry["difference"] > 0 else "lower"


def unlike(entry: dict) -> str:
    """Why nothing is concluded from answers that did not end alike; "" where they did."""
    found, told = entry.get("unequal", {}), []
    for kind in [kind for kind in UNLIKE if kind in found]:
        (one, before), (other, after) = found[kind].items()
        of, answers = found["of"][one], found["of"][other]
        there = f"{before} of {of}" if of != answers else before
        told.append(f"{after} of {answers} answers of {other} {UNLIKE[kind]}, {there} of {one}'s")
    return f"inconclusive: {'; '.join(told)}" if told else ""


def _opposed(found: dict) -> str:
    ways = [[group.replace("_", " ") for group, value in found.items() if (value > 0) == up] for up in (True, False)]
    return f"mixed: higher for {', '.join(ways[0])}; lower for {', '.join(ways[1])}" if found else ""


def endings(entry: dict) -> str:
    """How many of the answers that an entry was read from were cut, unfinished and at the floor; "" where none was."""
    return ", ".join(f"{entry[kind]} {word}" for kind, word in COUNTS.items() if entry.get(kind))


def p_value(entry: dict) -> str:
    """p to three places."""
    if "p" not in entry:
        return "–"
    return "< 0.001" if entry["p"] < 0.001 else f"{entry['p']:.3f}"


def fixed(value: float, digits: int, sign: str = "") -> str:
    """A number with so many digits after the point, a true minus and no negative zero."""
    text = f"{value:{sign}.{digits}f}"
    if not text.strip("+-0."):
        text = text.lstrip("+-")
    return text.replace("-", "−")


def at(numbers: dict, place: str):
    """The entry at a dotted place."""
    for name in place.split("."):
        numbers = numbers[name]
    return numbers


FILTERS = (at, difference, endings, finding, fixed, interval, level, p_value, unlike)
