"""`cantica history [REV…]`: the headline metrics over commits and experiments. It reads git's objects only."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from markupsafe import Markup
from ruamel.yaml.error import YAMLError

from cantica.commands.git import contents, must
from cantica.commands.headline import entries, number, shown, title, value
from cantica.commands.table import aligned
from cantica.commands.yaml_text import from_text
from cantica.core.errors import InputError, Problem, did_you_mean
from cantica.core.files import write_text
from cantica.core.params import FILE
from cantica.reporting import charts
from cantica.reporting.charts import spec_of
from cantica.reporting.draw import draw
from cantica.reporting.inference import Estimate
from cantica.reporting.pages import render

TEMPLATES = Path(__file__).parent / "templates"
METRICS = "reports/metrics.json"
BARS = "▁▂▃▄▅▆▇█"
SUBJECT = 32  # characters of a commit's subject


@dataclass(frozen=True)
class Point:
    """A commit or an experiment. entries: {place: estimate} of one arm, {} where they cannot be read. arms: all of its arms."""

    name: str
    commit: str
    subject: str
    experiment: bool
    entries: dict[str, Estimate] = field(default_factory=dict)
    arms: tuple[str, ...] = ()


Series = list[tuple[int, Point]]  # the points that have a measure, with their positions among all


def history(revs: list[str], arm: str | None, reports: Path) -> str:
    """Write `history.html` into a folder and return the table for the terminal.

    arm: None for the last of `arms` of each commit. Raises InputError for a REV unknown to git, and for an arm of no commit.
    """
    points = read_points(revs, arm)
    if not points:
        raise InputError(Problem(METRICS, "", "no commit that holds it", "a build's metrics", "`dvc repro`, then `git commit`"))
    if arm and arm not in (known := list(dict.fromkeys(name for point in points for name in point.arms))):
        raise InputError(Problem("--arm", "", repr(arm), f"an arm: {', '.join(known)}", did_you_mean(arm, known)))
    places = list(dict.fromkeys(place for point in reversed(points) for place in point.entries))
    found = {place: series(points, place) for place in places}
    plots = {place: plot(place, own, len(points)) for place, own in found.items() if len(own) > 1 or len(points) == 1}
    facts = {"points": points, "places": places, "plots": plots, "arm": arm}
    write_text(reports / "history.html", render("history.html.j2", facts, (value, title), TEMPLATES))
    return "\n".join([*table(points, places), "", f"plots: {reports / 'history.html'}"])


# ---- from git


def read_points(revs: list[str], arm: str | None) -> list[Point]:
    """The first-parent commits that changed the metrics, oldest first, then the experiments on the revisions themselves."""
    revs = revs or ["HEAD"]
    tips = must("rev-parse", "--revs-only", *revs).splitlines()
    logged = must("log", "--first-parent", "--reverse", "--format=%H%x09%s", *revs, "--", METRICS)
    found = [Point(commit[:7], commit, subject, False) for commit, _, subject in map(_columns, logged.splitlines())]
    for tip in (tip for tip in tips if not tip.startswith("^")):
        place = f"refs/exps/{tip[:2]}/{tip[2:]}/"
        listed = must("for-each-ref", "--sort=version:refname", "--format=%(objectname)%09%(refname)", place)
        found += [Point(ref.removeprefix(place), commit, "", True) for commit, _, ref in map(_columns, listed.splitlines())]
    metrics, params = (contents([f"{point.commit}:./{file}" for point in found]) for file in (METRICS, FILE))
    arms = [arms_of(text) for text in metrics]
    chosen = [arm or last_of_params(text) or next(reversed(own), "") for text, own in zip(params, arms, strict=True)]
    return [
        replace(point, entries=entries(own.get(name)), arms=tuple(own))
        for point, own, name in zip(found, arms, chosen, strict=True)
    ]


def _columns(line: str) -> tuple[str, str, str]:
    return line.partition("\t")


# ---- pure


def arms_of(metrics: bytes) -> dict[str, Any]:
    """The arms of a metrics.json with their numbers; {} if it has another form."""
    try:
        arms = json.loads(metrics)
    except ValueError:
        return {}
    return arms if isinstance(arms, dict) else {}


def last_of_params(params: bytes) -> str:
    """The last of `arms` in a params.yaml, after which metrics.json may have arms of other kinds; "" where there is none."""
    try:
        arms = from_text(params.decode())["arms"]
    except (YAMLError, UnicodeDecodeError, TypeError, KeyError):
        return ""
    return [*arms][-1] if isinstance(arms, dict) and arms else ""


def series(points: Iterable[Point], place: str) -> Series:
    """The points that have a measure, with their positions."""
    return [(n, point) for n, point in enumerate(points) if place in point.entries]


def table(points: list[Point], places: list[str]) -> list[str]:
    """A line for each point: the measures that summaries show, each with a bar that shows where it lies in its column."""
    places = shown(places)
    heads = [title(place).split() for place in places]
    depth = max(map(len, heads), default=0)
    rows = [["", *(head[n] if n < len(head) else "" for head in heads)] for n in range(depth)]
    ranges = {place: [number(point.entries[place]) for _, point in series(points, place)] for place in places}
    for point in points:
        name = f"  {point.name}" if point.experiment else f"{point.name} {point.subject}"
        cells = (f"{value(point.entries.get(place))} {bar(point.entries.get(place), ranges[place])}" for place in places)
        rows.append([name if len(name) <= SUBJECT else f"{name[: SUBJECT - 1]}…", *cells])
    return aligned(rows)


def bar(entry: Estimate | None, values: list[float]) -> str:
    """One character that shows where an estimate lies between the least and the greatest of some values."""
    if not entry:
        return " "
    low, high = min(values), max(values)
    return BARS[round((number(entry) - low) / (high - low) * (len(BARS) - 1))] if high > low else BARS[0]


def plot(place: str, found: Series, positions: int) -> Markup:
    """The picture of a measure over the points. positions: the number of all points."""
    share = "share" in found[-1][1].entries[place]
    label = f"{title(place)} by the number of the commit, with 95% intervals; the numbers are in the table"
    return draw(spec_of(charts.history(plot_rows(place, found), share, positions)), label)


def plot_rows(place: str, found: Series) -> list[dict[str, Any]]:
    """The rows of the picture of a measure: the position from 1, the value with its interval, and the kind of the point."""
    rows = []
    for n, point in found:
        entry = point.entries[place]
        middle = number(entry)
        ends = {"low": entry.get("low", middle), "high": entry.get("high", middle)}
        rows.append({"position": n + 1, "value": middle, **ends, "kind": "experiment" if point.experiment else "commit"})
    return rows
