"""The figures of an experiment as SVG files: levels of arms with intervals, and curves at checkpoints. Pure."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from cantica.commands.experiments.curves import Panel
from cantica.commands.experiments.levels import Level, short_names
from cantica.commands.experiments.svg import card, colour, dashes, text, wide
from cantica.commands.headline import number
from cantica.reporting.figures import Points, axis
from cantica.reporting.wording import fixed

WIDTH = 760
EDGE = 16  # of a card
ROW, LINE = 22, 15  # height of an arm, and of a line of a heading
ACROSS = 3  # panels side by side, at most
GAP, EDGED = 40, 34  # between panels; to the right of the last one, for half a label
HEAD, HEIGHT, FOOT = 34, 240, 46  # of the name of a box of curves, of the box, and of its axis
APART = 15  # least distance of two labels
NARROW = 26  # least distance of two labels of an axis


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high`, drawn from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    percent: bool

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[tuple[float, str]]:
        """(place, label) of some round values, five at most."""
        size = 10 ** math.floor(math.log10(self.high - self.low))
        step = next(size * part for part in (0.25, 0.5, 1, 2.5) if (self.high - self.low) / (size * part) <= 4.01)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        digits = max(0, -math.floor(math.log10(step) + 1e-9)) + (step / 10 ** math.floor(math.log10(step)) == 2.5)
        values = [n * step for n in range(first, last + 1)]
        return [(self(value), f"{fixed(100 * value, 0)}%" if self.percent else fixed(value, digits)) for value in values]


def scale(values: Sequence[float], percent: bool, start: float, end: float) -> Scale:
    """An axis for values: of shares from 0 to 1, or from -1 if some are below 0."""
    if percent:
        return Scale(-1 if min(values) < 0 else 0, 1, start, end, True)
    return Scale(*axis(list(values)), start, end, False)


# ---- levels


def levels_figure(levels: dict[str, dict[str, Level]], arms: list[str]) -> str:
    """The level of each measure in each arm: the seeds as dots, and their mean with its interval."""
    left = EDGE + max(map(wide, arms)) + 18
    across = math.ceil(len(levels) / math.ceil(len(levels) / ACROSS))  # four are two lines of two
    each = (WIDTH - EDGED - left - GAP * (across - 1)) / across
    names = {
        measure: textwrap.wrap(name, int((each + GAP) / wide("x", 11)) - 1) for measure, name in short_names(levels).items()
    }
    head = LINE * max(map(len, names.values()))
    down = head + ROW * len(arms) + 48
    parts: list[str] = []
    for n, (measure, own) in enumerate(levels.items()):
        x, y = left + n % across * (each + GAP), EDGE + n // across * down
        if n % across == 0:
            parts += [text(left - 18, y + head + 28 + ROW * place, arm, "", "end") for place, arm in enumerate(arms)]
        parts += [text(x, y + 12 + LINE * row, line, "bold small") for row, line in enumerate(names[measure])]
        parts += _panel(own, arms, (x, y + head, each))
    height = EDGE + math.ceil(len(levels) / across) * down
    return card(WIDTH, height, f"The level of each arm: {'; '.join(short_names(levels).values())}", parts)


def _panel(own: dict[str, Level], arms: list[str], box: tuple[float, float, float]) -> list[str]:
    x, y, room = box
    limits = [level.estimate[key] for level in own.values() for key in ("low", "high") if key in level.estimate]
    values = [number(one) for level in own.values() for one in (level.estimate, *level.seeds.values())]
    along = scale([*values, *limits], all(level.share for level in own.values()), x, x + room)
    parts = _grid(along, y + 8, y + 16 + ROW * len(arms))
    for place, arm in enumerate(arms):
        if arm in own:
            parts += _dots(own[arm], along, y + 24 + ROW * place, colour(place))
    return parts


def _dots(level: Level, along: Scale, y: float, shade: str) -> list[str]:
    """A level: its interval as a line, its mean as a dot on it, and each seed as an open dot below."""
    own = level.estimate
    dots = [f'<circle cx="{along(number(one)):.1f}" cy="{y + 4:.1f}" r="2.6" {_open(shade)}/>' for one in level.seeds.values()]
    middle = f'<circle cx="{along(number(own)):.1f}" cy="{y - 3:.1f}" r="4.2" fill="{shade}"/>'
    if "low" not in own:
        return [*dots, middle]
    ends = f'x1="{along(own["low"]):.1f}" x2="{along(own["high"]):.1f}" y1="{y - 3:.1f}" y2="{y - 3:.1f}"'
    return [f'<line {ends} stroke="{shade}" stroke-width="2"/>', *dots, middle]


def _open(shade: str) -> str:
    return f'fill="var(--card)" stroke="{shade}" stroke-width="1.2"'


def _grid(along: Scale, top: float, bottom: float) -> list[str]:
    """The lines and labels of a horizontal axis."""
    parts = []
    for x, label in along.ticks():
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>')
        parts.append(text(x, bottom + 14, label, "muted small", "middle"))
    return parts


# ---- curves


def curves_figure(panels: list[Panel], arms: list[str]) -> str:
    """Measures at checkpoints, a box for each: a thin line for each seed, and a bold one for their mean."""
    names = short_names([panel.measure for panel in panels])
    parts: list[str] = []
    for n, panel in enumerate(panels):
        top = EDGE + n * (HEAD + HEIGHT + FOOT)
        parts += [text(EDGE, top + 14, names[panel.measure], "bold"), *_curves(panel, arms, top)]
    height = EDGE + len(panels) * (HEAD + HEIGHT + FOOT)
    return card(WIDTH, height, f"At checkpoints: {'; '.join(names.values())}", parts)


def _curves(panel: Panel, arms: list[str], top: float) -> list[str]:
    left, right = EDGE + 44, WIDTH - EDGE - max(map(wide, panel.curves)) - 16
    start, end = top + HEAD, top + HEAD + HEIGHT
    every = [curve for own in panel.curves.values() for curve in own.values()]
    values = [value for curve in every for _, value in curve] + [bound.value for bound in panel.bounds]
    up = scale(values, panel.share, end, start)
    iterations = sorted({iteration for curve in every for iteration, _ in curve})
    along = Scale(math.log2(1 + iterations[0]), math.log2(1 + iterations[-1]), left, right, False)
    parts = _axes(up, along, iterations, (left, right), end)
    for bound in panel.bounds:
        y = up(bound.value)
        parts.append(f'<line class="link" x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
    ends = {}
    for arm, own in panel.curves.items():
        means = mean_curve(own.values())
        place = arms.index(arm)
        lines = [_line([(along(math.log2(1 + x)), up(y)) for x, y in curve], place, 1, 0.45) for curve in own.values()]
        parts += [*(lines if len(own) > 1 else []), _line([(along(math.log2(1 + x)), up(y)) for x, y in means], place, 2.6, 1)]
        ends[arm] = up(means[-1][1])
    for arm, y in spread(ends, APART).items():
        label = text(right + 10, y + 4, arm, "bold small").replace("<text", f'<text style="fill: {colour(arms.index(arm))}"')
        parts.append(label)
    return parts


def mean_curve(curves: Iterable[Points]) -> Points:
    """The mean of curves at the iterations that all of them have."""
    tables = [dict(curve) for curve in curves]
    return [(x, fmean(table[x] for table in tables)) for x in tables[0] if all(x in table for table in tables)]


def spread(places: dict[str, float], apart: float) -> dict[str, float]:
    """Places moved as little as possible so that they are at least so far apart: those that collide are spaced evenly."""
    groups: list[tuple[float, list[str]]] = []
    for name in sorted(places, key=lambda name: places[name]):
        middle, names = places[name], [name]
        while groups and middle - groups[-1][0] < apart * (len(names) + len(groups[-1][1])) / 2:
            before, others = groups.pop()
            middle = (before * len(others) + middle * len(names)) / (len(others) + len(names))
            names = others + names
        groups.append((middle, names))
    return {name: middle + apart * (n - (len(names) - 1) / 2) for middle, names in groups for n, name in enumerate(names)}


def _line(points: Points, place: int, thick: float, opacity: float) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    about = f'stroke-width="{thick}" stroke-opacity="{opacity}" stroke-dasharray="{dashes(place)}"'
    return f'<polyline points="{path}" fill="none" stroke="{colour(place)}" stroke-linejoin="round" {about}/>'


def _axes(up: Scale, along: Scale, iterations: list[float], sides: tuple[float, float], bottom: float) -> list[str]:
    left, right = sides
    parts = []
    for y, label in up.ticks():
        parts.append(f'<line class="grid" x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(text(left - 8, y + 4, label, "muted small", "end"))
    last = -math.inf
    for iteration in iterations:
        x = along(math.log2(1 + iteration))
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{bottom:.1f}" y2="{bottom + 4:.1f}" stroke="var(--muted)"/>')
        if x - last >= NARROW:
            parts.append(text(x, bottom + 17, f"{iteration:g}", "muted small", "middle"))
            last = x
    return [*parts, text((left + right) / 2, bottom + 33, "iteration", "muted small", "middle")]
