"""The charts of the report: the training loss, and the colours and lines of charts. Pure: numbers in, SVG or CSS out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cantica.core.records import TrainingRecord
from cantica.reporting.probes import Trajectory
from cantica.settings.tree import branches, path_to

Points = list[tuple[float, float]]
COLOURS = ("#1f5fa8", "#b3412e", "#1c7a4a", "#8a5a00", "#6b3fa0", "#0f7c8a", "#c2408f", "#5d6b7a")
DASHES = ("none", "7 3", "2 3")
CURVE_COLUMNS = ("iteration", "branch", "step", "train_loss")


# ---- the training loss


def curve_rows(trainings: dict[str, TrainingRecord], curriculum: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the training loss of every step. iteration: counted from base along the tree. branch: its last step."""
    branch = {step: last for last, steps in branches(curriculum).items() for step in steps}
    rows = []
    for step in curriculum:
        done = sum(trainings[s]["iterations"] for s in path_to(curriculum[step]["after"], curriculum))
        for point in trainings[step]["curve"]:
            row = {"iteration": done + point["iteration"], "branch": branch[step], "step": step}
            rows.append(row | {"train_loss": round(point["train_loss"], 4)})
    return rows


@dataclass(frozen=True)
class Line:
    """The training loss along a branch of the tree.

    steps: of the branch. after: the model that its first step continues. points: (iteration, loss). If `after` is a step, its
    last point comes first, so that the line starts where the branch leaves another. ends: {step: its last point}, for the steps
    that have iterations.
    """

    steps: list[str]
    after: str
    points: Points
    ends: dict[str, tuple[float, float]]


def curve_lines(curve: list[dict[str, Any]], curriculum: dict[str, dict[str, Any]]) -> list[Line]:
    """Return a line for each branch, from the rows of the loss curve."""
    ends = {row["step"]: (row["iteration"], row["train_loss"]) for row in curve}
    lines = []
    for branch, steps in branches(curriculum).items():
        after = curriculum[steps[0]]["after"]
        points = sorted((row["iteration"], row["train_loss"]) for row in curve if row["branch"] == branch)
        before = [ends[after]] if after in ends else []
        lines.append(Line(steps, after, [*before, *points], {step: ends[step] for step in steps if step in ends}))
    return lines


# ---- a measure at checkpoints


@dataclass(frozen=True)
class Curve:
    """A measure at the checkpoints of an arm. line: (iteration, value). band: the outline of its 95% intervals."""

    line: Points
    band: Points


def curve_of(trajectory: Trajectory, key: str) -> Curve:
    """Return the curve of the measure with this key, a mean or a share. Without an interval, the band has no width."""
    line: Points = []
    low: Points = []
    high: Points = []
    for iteration, levels in trajectory.items():
        for entry in [entry for measure, entry in levels if measure.key == key and entry["n"]]:
            value = entry["share"] if "share" in entry else entry["mean"]
            line.append((iteration, value))
            low.append((iteration, entry.get("low", value)))
            high.append((iteration, entry.get("high", value)))
    return Curve(line, [*low, *reversed(high)])


def curves_axis(trajectories: Iterable[Trajectory], keys: Iterable[str]) -> tuple[float, float]:
    """Return the ends of an axis for the curves of some measures."""
    curves = [curve_of(trajectory, key) for trajectory in trajectories for key in keys]
    return axis([value for curve in curves for _, value in curve.band])


# ---- drawing


def stroke(number: int) -> tuple[str, str]:
    """Return the colour and dashes of a line in a chart. The first 24 lines all look different."""
    return COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]


def shade(value: float, low: float, high: float) -> str:
    """Return a background colour for a cell, from pale at `low` to deep blue at `high`."""
    share = (value - low) / (high - low) if high > low else 0.0
    return f"hsl(212 {45 + 25 * share:.0f}% {96 - 46 * share:.0f}%)"


def axis(values: list[float]) -> tuple[float, float]:
    """Return the ends of an axis: the lowest and the highest value, with a margin of a tenth of their distance."""
    margin = (max(values) - min(values)) / 10 or 0.1
    return min(values) - margin, max(values) + margin


def polyline(points: Points, width: int, height: int, last: float, low: float, high: float) -> str:
    """Return the points of an SVG polyline in a box: x from 0 to `last`, y from `low` at the bottom to `high` at the top."""
    return " ".join(f"{x / last * width:.1f},{(high - y) / (high - low) * height:.1f}" for x, y in points)


FUNCTIONS = (axis, curve_of, curves_axis, polyline, shade, stroke)
