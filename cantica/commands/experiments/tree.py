"""The tree of an experiment as a picture: its steps, the samples that feed them, and the arms that are measured. Pure.

Each point has a row of its own, as in a tree of folders: an only child stands below its parent, several are indented. Samples
are joined to the steps that train on them by dashed lines to the right of the tree.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cantica.commands.experiments.svg import card, colour, text, wide
from cantica.settings.arms import all_arms
from cantica.settings.tree import ROOT, iteration_of, step_of

WIDTH = 440  # at least
LEFT, INDENT, GUTTER = 22, 24, 14  # of the first column; between columns of the tree; between dashed lines
ROW, LINE = 36, 26  # height of a row, and of each further line of arms in it
GAP = 16  # between columns of text
ARMS, MOST = 100, 320  # least and greatest width of the column of arms
SAMPLES = "samples/"


@dataclass(frozen=True)
class Node:
    """A row of the picture.

    place: base, a step, samples/<name>, or the name of an arm outside the tree. column: in the tree. above: the place that it
    continues, "" for a root. about: what it is, in words. data: the file that it trains on. arms: {name: label} of those at it.
    """

    place: str
    column: int
    above: str
    about: str
    data: str
    arms: dict[str, str]


def picture(params: dict[str, Any]) -> str:
    """The tree as an SVG file."""
    nodes = list(nodes_of(params))
    order = {name: n for n, name in enumerate(all_arms(params))}
    joined = [node.data for node in nodes if any(other.place == node.data for other in nodes)]
    lanes = {place: n for n, place in enumerate(dict.fromkeys(joined))}
    edge = LEFT + INDENT * max(node.column for node in nodes)  # of the tree
    names = edge + GUTTER * (len(lanes) + 1) + 6
    abouts = names + max(wide(_name(node)) for node in nodes) + GAP
    arms = abouts + max(wide(node.about, 11) for node in nodes) + GAP
    longest = max((sum(map(_chip, labels)) for node in nodes if (labels := [*node.arms.values()])), default=0)
    width = max(WIDTH, arms + min(max(longest, ARMS), MOST) + GAP)
    y, tops, parts = 8.0, {}, []
    for node in nodes:
        chips, lines = _chips(node, order, arms, y, width - GAP)
        tops[node.place] = y + ROW / 2
        middle = y + ROW / 2 + 4
        parts += [text(names, middle, _name(node), "bold"), text(abouts, middle, node.about, "muted small"), *chips]
        y += ROW + LINE * (lines - 1)
    spots = {node.place: (LEFT + INDENT * node.column, tops[node.place]) for node in nodes}
    lines_of = [_branch(spots[node.above], spots[node.place], node) for node in nodes if node.above]
    links = [
        _link(spots[node.data], spots[node.place], edge + GUTTER * (lanes[node.data] + 1))
        for node in nodes
        if node.data in lanes
    ]
    return card(width, y + 8, _words(nodes), [*lines_of, *links, *(_mark(*spots[node.place], node) for node in nodes), *parts])


# ---- what is in the tree


def nodes_of(params: dict[str, Any]) -> Iterator[Node]:
    """The rows of the picture from top to bottom: base with all that follows it, then samples of servers."""
    below: dict[str, list[str]] = {}
    for name, own in params["samples"].items():
        below.setdefault(step_of(own["from"]), []).append(SAMPLES + name)
    for name, own in params["curriculum"].items():
        below.setdefault(step_of(own["after"]), []).append(name)

    def walk(place: str, column: int, above: str) -> Iterator[Node]:
        data = params["curriculum"].get(place, {}).get("data", "")
        yield Node(place, column, above, _about(place, params), data, _arms(place, params))
        children = below.get(place, [])
        for child in children:
            yield from walk(child, column + (len(children) > 1), place)

    yield from walk(ROOT, 0, "")
    for name in params["server_samples"]:
        yield from walk(SAMPLES + name, 0, "")


def _about(place: str, params: dict[str, Any]) -> str:
    if place == ROOT:
        return params["base"]["model"].rpartition("/")[2]
    if place.startswith(SAMPLES):
        name = place.removeprefix(SAMPLES)
        own = params["samples"].get(name) or params["server_samples"][name]
        author = "answers to" if "from" in own else f"{own['model'].rpartition('/')[2]} answers"
        return f"{author} {own['prompts']}{_at(own.get('from', ''))}{' + system prompt' if own.get('system') else ''}"
    own = params["curriculum"][place]
    settings = params["train"] | own
    words = f"{own['data']}, {settings['iters']} × {settings['batch_size']}{_at(own['after'])}"
    words += f", {own['optimizer']}" if "optimizer" in own else ""
    return words + (", new adapter" if own.get("adapter") == "fresh" else "")


def _at(point: str) -> str:
    """The iteration of a checkpoint, in words."""
    return "" if (iteration := iteration_of(point)) is None else f", from iteration {iteration}"


def _arms(place: str, params: dict[str, Any]) -> dict[str, str]:
    """{arm: its label} of the arms at a point or at its checkpoints."""
    found = {}
    for name, own in params["arms"].items():
        if step_of(own["point"]) == place:
            at = iteration_of(own["point"])
            found[name] = name + ("" if at is None else f" at {at}") + (" + system prompt" if own.get("system") else "")
    return found


def _name(node: Node) -> str:
    return node.place.removeprefix(SAMPLES)


def _words(nodes: list[Node]) -> str:
    """The tree in a sentence."""
    return "The tree of steps: " + ", ".join(f"{_name(node)}{f' after {node.above}' if node.above else ''}" for node in nodes)


# ---- drawing


def _branch(above: tuple[float, float], spot: tuple[float, float], node: Node) -> str:
    """The line from a point to what follows it."""
    (x, y), (right, below) = above, spot
    bend = f"V{below - 8:.1f}q0 8 8 8H{right:.1f}" if right > x else f"V{below:.1f}"
    kind = "link" if node.place.startswith(SAMPLES) else "line"
    return f'<path class="{kind}" d="M{x:.1f} {y:.1f}{bend}"/>'


def _link(sample: tuple[float, float], step: tuple[float, float], lane: float) -> str:
    """The line from a sample to a step that trains on it, with an arrow."""
    (x, y), (right, below) = sample, step
    path = f'<path class="link" d="M{x + 8:.1f} {y:.1f}H{lane:.1f}V{below:.1f}H{right + 14:.1f}"/>'
    return f'{path}<path fill="var(--muted)" d="M{right + 9:.1f} {below:.1f}l7 -4v8z"/>'


def _mark(x: float, y: float, node: Node) -> str:
    """A point as a circle, base as an open one; a sample as a diamond."""
    if node.place.startswith(SAMPLES):
        return f'<path d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z" fill="var(--card)" stroke="var(--muted)" stroke-width="1.6"/>'
    fill = "var(--card)" if node.place == ROOT else "var(--ink)"
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5" fill="{fill}" stroke="var(--ink)" stroke-width="1.6"/>'


def _chips(node: Node, order: dict[str, int], left: float, top: float, right: float) -> tuple[list[str], int]:
    """The labels of a row's arms, in as many lines as they need."""
    parts, x, lines = [], left, 1
    for name, label in node.arms.items():
        if x > left and x + _chip(label) > right:
            x, lines = left, lines + 1
        y = top + ROW / 2 + LINE * (lines - 1)
        size = f'width="{_chip(label) - 6:.1f}" height="20" rx="10"'
        parts.append(f'<rect x="{x:.1f}" y="{y - 10:.1f}" {size} fill="{colour(order[name])}"/>')
        parts.append(text(x + 9, y + 4, label, "on small"))
        x += _chip(label)
    return parts, lines


def _chip(label: str) -> float:
    """The width of a label with the gap after it."""
    return wide(label, 11) + 18 + 6
