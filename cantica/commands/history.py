"""How the headline metrics moved: `cantica history [REV…]`, over commits and experiments. It reads git's objects alone."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from cantica.commands.git import contents, must
from cantica.commands.headline import entries, number, shown, title, value
from cantica.core.errors import InputError, Problem
from cantica.core.files import write_text
from cantica.reporting import wording
from cantica.reporting.pages import render

TEMPLATES = Path(__file__).parent / "templates"
METRICS = "reports/metrics.json"
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Point:
    """A commit or an experiment with its metrics: {place: entry of the last arm}, {} where they cannot be read."""

    name: str
    commit: str
    about: str
    experiment: bool
    entries: dict[str, dict] = field(default_factory=dict)


def history(revs: list[str], reports: Path) -> str:
    """Write `history.html` into a folder and return the table for the terminal. Raises InputError for a REV unknown to git."""
    points = read_points(revs)
    if not points:
        raise InputError(Problem(METRICS, "", "no commit that holds it", "a build's metrics", "`dvc repro`, then `git commit`"))
    places = list(dict.fromkeys(place for point in reversed(points) for place in point.entries))
    facts = {"points": points, "places": places, "series": {place: series(points, place) for place in places}}
    write_text(reports / "history.html", render("history.html.j2", facts, (*wording.FILTERS, value, plot, title), TEMPLATES))
    return "\n".join([*table(points, places), "", f"{reports / 'history.html'} draws them"])


# ---- from git


def read_points(revs: list[str]) -> list[Point]:
    """The first-parent commits that changed the metrics, oldest first, then the experiments on the revisions themselves."""
    revs = revs or ["HEAD"]
    tips = must("rev-parse", "--revs-only", *revs).splitlines()
    logged = must("log", "--first-parent", "--reverse", "--format=%H%x09%s", *revs, "--", METRICS)
    found = [Point(commit[:7], commit, about, False) for commit, _, about in map(_columns, logged.splitlines())]
    for tip in (tip for tip in tips if not tip.startswith("^")):
        place = f"refs/exps/{tip[:2]}/{tip[2:]}/"
        listed = must("for-each-ref", "--sort=version:refname", "--format=%(objectname)%09%(refname)", place)
        found += [Point(ref.removeprefix(place), commit, "", True) for commit, _, ref in map(_columns, listed.splitlines())]
    texts = contents([f"{point.commit}:./{METRICS}" for point in found])
    numbers = alike([last_arm(text) for text in texts])
    return [replace(point, entries=own) for point, own in zip(found, numbers, strict=True)]


def _columns(line: str) -> tuple[str, str, str]:
    return line.partition("\t")


# ---- pure


def last_arm(text: bytes) -> dict[str, dict]:
    """{place: entry} of the last arm of a metrics.json, in whatever form it was then; {} where there is none."""
    try:
        arms = json.loads(text)
    except ValueError:
        return {}
    return entries(list(arms.values())[-1]) if isinstance(arms, dict) and arms else {}


def alike(found: list[dict[str, dict]]) -> list[dict[str, dict]]:
    """The same, where a plain number of a metric that is a share elsewhere is one."""
    shares = {place for numbers in found for place, entry in numbers.items() if "share" in entry}
    return [
        {place: {"share": entry["mean"]} if place in shares and "mean" in entry else entry for place, entry in numbers.items()}
        for numbers in found
    ]


def series(points: list[Point], place: str) -> list[tuple[int, dict, bool]]:
    """(position, entry, whether of an experiment) of the points that have a metric."""
    return [(n, point.entries[place], point.experiment) for n, point in enumerate(points) if place in point.entries]


def table(points: list[Point], places: list[str]) -> list[str]:
    """Lines, a point in each: the metrics that are shown where few are, bars from the least of a column to the greatest."""
    places = shown(places)
    heads = [title(place).split() for place in places]
    depth = max(map(len, heads), default=0)
    rows = [["", *(head[n] if n < len(head) else "" for head in heads)] for n in range(depth)]
    ranges = {place: [number(entry) for _, entry, _ in series(points, place)] for place in places}
    for point in points:
        name = f"  {point.name}" if point.experiment else f"{point.name} {point.about}"
        cells = (f"{value(point.entries.get(place))} {bar(point.entries.get(place), ranges[place])}" for place in places)
        rows.append([name if len(name) <= 32 else f"{name[:31]}…", *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            f"{cell:{width}}" if n == 0 else f"{cell:>{width}}" for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def bar(entry: dict | None, values: list[float]) -> str:
    """One character, the higher the greater an entry is among some values."""
    if not entry:
        return " "
    low, high = min(values), max(values)
    return BARS[round((number(entry) - low) / (high - low) * (len(BARS) - 1))] if high > low else BARS[0]


def plot(found: list[tuple[int, dict, bool]], positions: int, width: int, height: int) -> dict:
    """Where to draw a series in a box, and the ends of its axis.

    {"marks": [(x, y, y of low, y of high, whether of an experiment)], "line": points through commits, "low", "high"}.
    """
    ends = [end for _, entry, _ in found for end in (number(entry), entry.get("low"), entry.get("high")) if end is not None]
    low, high = min(ends), max(ends)
    room = (high - low) or 1.0

    def y(value: float) -> float:
        return round(height - (value - low) / room * height, 1) if high > low else height / 2

    marks = []
    for n, entry, experiment in found:
        x = round(width * (n + 0.5) / positions, 1)
        middle = number(entry)
        marks.append((x, y(middle), y(entry.get("low", middle)), y(entry.get("high", middle)), experiment))
    line = " ".join(f"{x},{middle}" for x, middle, _, _, experiment in marks if not experiment)
    return {"marks": marks, "line": line, "low": low, "high": high}
