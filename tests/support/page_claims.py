"""The claims and levels on the pages of experiments, computed again from details.json. It uses nothing of Cantica."""

import re
from collections.abc import Iterator
from statistics import fmean
from typing import Any

from tests.support.pages import ROW, Experiment, Row, Run, number

ROUNDED = 1.5e-4  # estimates in details.json have four decimals, and their means over seeds may be off by one more
DECIDING = ("fails", "contradicted", "null", "underpowered", "reproduced", "holds")  # of several statements, the first of these


def claim_faults(one: Experiment) -> list[str]:
    """A line for each number on the pages of an experiment that does not follow."""
    return [line for check in (_claims, _words, _reasons, _levels, _sides) for line in check(one)]


# ---- what follows from the runs


def _at(details: Any, *path: str) -> float | None:
    """The share, mean or difference at a path of details.json. A number alone is a mean."""
    for name in path:
        details = details.get(name, {})
    if isinstance(details, dict):
        return next((details[kind] for kind in ("share", "mean", "difference") if kind in details), None)
    return details


def _side(run: Run, arm: str, own: dict) -> float:
    """The level of an arm, or the first checkpoint at which it is beyond the bound of `steps_until`."""
    path = own["measure"].split(".")
    level = _at(run.details, arm, *path)
    if "steps_until" not in own:
        return level
    step = run.params["train"] | run.params["curriculum"][run.params["arms"][arm]["point"]]
    kept = {int(n): _at(found, *path) for n, found in run.details[arm]["checkpoints"].items()} | {step["iters"]: level}
    return next((n for n in sorted(kept) if _beyond(kept[n], own["steps_until"])), max(kept))


def _means(own: dict, one: Experiment) -> list[float]:
    """The mean over seeds of the level of the arm, and of what it is compared with; none if that has no runs."""
    other, sides = own.get("against"), [(own["arm"], one.runs)]
    if isinstance(other, dict):
        sides.append((own["arm"], one.every.get(other["variant"], {})))
    elif other:
        sides.append((other, one.runs))
    known = all(runs for _, runs in sides)
    return [fmean(_side(run, arm, own) for run in runs.values()) for arm, runs in sides] if known else []


def _value(own: dict, one: Experiment) -> float:
    """The mean over seeds of the level, or of the paired difference, which details.json has from the first arm."""
    place = f"against_{own.get('against')}"
    paired = [_at(run.details, own["arm"], place, *own["measure"].split(".")) for run in one.runs.values()]
    if None not in paired and "steps_until" not in own:
        return fmean(paired)
    first, *second = _means(own, one)
    return first - sum(second)


def _bound(own: dict) -> float:
    return own.get("above", own.get("below"))


def _beyond(value: float, own: dict) -> bool:
    return value > own["above"] if "above" in own else value < own["below"]


def _is(text: str, value: float, unit: float = 1) -> bool:
    """Whether a number on a page is a value, rounded to its digits. unit: 100 for percent."""
    return abs(number(text) - unit * value) <= 10 ** -len(text.partition(".")[2]) / 2 + unit * ROUNDED


# ---- claims


def _claims(one: Experiment) -> Iterator[str]:
    """The value of each statement, its bound, and its interval, on both pages."""
    if len(one.rows) != len(one.statements) or one.rows != [Row(*found) for found in ROW.findall(one.page)]:
        yield f"{len(one.rows)} statements"
    for row, (_, own) in zip(one.rows, one.statements, strict=False):
        if not row.statement.endswith(f", {'above' if 'above' in own else 'below'} {_bound(own):g}"):
            yield f"{row.statement}: the bound is {_bound(own)}"
        if row.value != "–" and not _is(row.value, _value(own, one)):
            yield f"{row.statement}: {row.value} for {_value(own, one):.5f}"
        if row.low and not number(row.low) <= number(row.value) <= number(row.high):
            yield f"{row.statement}: {row.value} outside its interval"


def _words(one: Experiment) -> Iterator[str]:
    """The verdicts that follow from values and intervals."""
    found: dict[str, list[str]] = {}
    for row, (claim, own) in zip(one.rows, one.statements, strict=False):
        found.setdefault(claim["says"], []).append(_word(row, claim, own, one))
    words = [row.word for row in one.rows if row.word]
    for word, (says, outcomes) in zip(words, found.items(), strict=False):
        if word not in ("uninformative", "not decided") and word != next(one for one in DECIDING if one in outcomes):
            yield f"{says}: {word} for {outcomes}"


def _word(row: Row, claim: dict, own: dict, one: Experiment) -> str:
    if claim.get("gate"):
        return "holds" if _beyond(_value(own, one), own) else "fails"
    if not row.low or len(one.runs) < 3:
        return "underpowered"
    low, high, least = number(row.low), number(row.high), own.get("negligible", 0)
    if -least < low and high < least:
        return "null"
    ends = [_beyond(low, own), _beyond(high, own)]
    return "reproduced" if all(ends) else "underpowered" if any(ends) or _bound(own) in (low, high) else "contradicted"


def _reasons(one: Experiment) -> Iterator[str]:
    """The numbers in the reasons for verdicts: levels, bounds, and the numbers of statements."""
    known = {str(number) for number in range(1, len(one.statements) + 1)}
    for _, own in one.statements:
        levels = _means(own, one)
        known |= {f"{100 * level:.1f}%" for level in levels} | {f"{level:.3g}" for level in levels} | {f"{_bound(own):g}"}
    for line in re.findall(r"^- .+, because (.+)\.$", one.section, re.MULTILINE):
        yield from (f"{line}: {number}" for number in re.findall(r"-?\b\d[\d.]*%?(?<!\.)", line) if number not in known)


def _levels(one: Experiment) -> Iterator[str]:
    """The table of levels: the mean over seeds, with the seeds in parentheses where there is no interval."""
    table = re.search(r"^## Levels\n\n(.+?)\n\n", one.page, re.MULTILINE | re.DOTALL)
    rows = [line.strip("| ").split(" | ") for line in table[1].splitlines()] if table else []
    measures = dict.fromkeys(own["measure"] for _, own in one.statements)
    for arm, *cells in rows[2:]:
        for measure, cell in zip(measures, cells, strict=True):
            seeds = [_at(run.details, arm, *measure.split(".")) for run in one.runs.values()]
            numbers = re.findall(r"[+−]?\d[\d.]*", re.sub(r"\[.*\]", "", cell))
            unit = 100 if "%" in cell or " pp" in cell else 1
            for text, value in zip(numbers, [fmean(seeds), *seeds] if numbers else [], strict=False):
                if not _is(text, value, unit):
                    yield f"level of {measure}, {arm}: {text} for {unit * value:.5f}"


def _sides(one: Experiment) -> Iterator[str]:
    """The columns with both sides of a difference and with the number of seeds."""
    rows = re.findall(r"^\| [^|]*? \| [^|]+? \| ([^|]+?) \| (\d+|–) × \S+ \|", one.page, re.MULTILINE)
    for (both, seeds), (_, own) in zip(rows, one.statements, strict=True):
        means = _means(own, one)
        for text, value in zip(both.split(" against "), means, strict=False):
            if len(means) == 2 and not _is(text, value):
                yield f"side of {own['measure']}, {own['arm']}: {text} for {value:.5f}"
        if seeds not in (str(len(one.runs)), "–"):
            yield f"{own['measure']}: {seeds} seeds"
