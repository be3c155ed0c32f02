"""The tree of training steps as a picture: one row for each point, in lanes for branches. Pure."""

from dataclasses import dataclass
from statistics import fmean
from typing import Any

from cantica.core.records import TrainingRecord
from cantica.reporting.forest import shortened
from cantica.reporting.palette import LINES
from cantica.settings.tree import ROOT, branches, iteration_of, step_of

Matrix = dict[str, dict[str, float]]  # {point: {category: loss}}
LANE = 22  # pixels between two branches
WIDE, NARROW = 1000, 360
ARMS = 735  # where their names begin
LETTER = 8  # the width of a bold letter


@dataclass(frozen=True)
class Node:
    """A point of the tree.

    lane: 0 for the first branch. row: from the top. after: the row of the point that it continues; None for base. arms: the
    arms there. train: the first and last training loss; () without iterations. valid: the mean validation loss over all
    categories, None if it is not measured.
    """

    point: str
    lane: int
    row: int
    after: int | None
    data: str
    iterations: int
    arms: list[str]
    train: tuple[float, ...]
    valid: float | None


def nodes(params: dict[str, Any], training: dict[str, TrainingRecord], matrix: Matrix) -> list[Node]:
    """Return base and all steps, branch by branch, so that each branch is one straight line."""
    curriculum = params["curriculum"]
    lanes = {ROOT: 0} | {step: lane for lane, steps in enumerate(branches(curriculum).values()) for step in steps}
    place = {point: row for row, point in enumerate(lanes)}
    found = []
    for point, lane in lanes.items():
        own, record = curriculum.get(point), training.get(point)
        curve = [entry["train_loss"] for entry in record["curve"]] if record else []
        valid = fmean(matrix[point].values()) if matrix.get(point) else None
        after = place[step_of(own["after"])] if own else None
        data, iterations = (own["data"], record["iterations"]) if own and record else ("", 0)
        ends = (curve[0], curve[-1]) if curve else ()
        found.append(Node(point, lane, place[point], after, data, iterations, arms_at(params, point), ends, valid))
    return found


def arms_at(params: dict[str, Any], point: str) -> list[str]:
    """Return the arms at a point; of those at a checkpoint of it, with the iteration."""
    found = []
    for arm, own in params["arms"].items():
        if step_of(own["point"]) == point:
            iteration = iteration_of(own["point"])
            found.append(arm if iteration is None else f"{arm} (iteration {iteration})")
    return found


def edges(found: list[Node]) -> list[dict[str, Any]]:
    """Return the corners of the lines between points: down from a point, aside into the lane of the next, and down to it."""
    lane = {node.row: node.lane for node in found}
    corners = []
    for node in found:
        if node.after is not None:
            above = lane[node.after]
            turn = min(node.after + 0.5, node.row) if above != node.lane else node.after
            for order, (x, y) in enumerate([(above, node.after), (node.lane, turn), (node.lane, node.row)]):
                corners.append({"edge": node.row, "order": order, "x": x, "y": y, "lane": node.lane})
    return corners


def _words(node: Node) -> dict[str, str]:
    """Return the texts of a row: what it trained on, and its losses."""
    iterations = f"{node.iterations} iteration{'s' if node.iterations != 1 else ''}"
    train = f"training loss {node.train[0]:.2f} → {node.train[1]:.2f}" if node.train else ""
    valid = "" if node.valid is None else f"validation loss {node.valid:.2f}"
    name = shortened(node.point.replace("_", " "), 23)
    return {
        "name": "base model" if node.point == ROOT else name,
        "data": f"{node.data}, {iterations}" if node.data else "",
        "train": train,
        "valid": valid,
        "arms": f"◆ {', '.join(node.arms)}" if node.arms else "",
    }


def _rows(found: list[Node], letters: int, of_arms: int) -> list[dict[str, Any]]:
    """Return the rows of the picture. first, second: the two lines under a name in the narrow form.

    letters, of_arms: the most in what a step trained on, and in the names of the arms.
    """
    rows = []
    for node in found:
        words = _words(node)
        data, losses = shortened(words["data"], letters), " · ".join(filter(None, (words["train"], words["valid"])))
        first, second, *_ = [*filter(None, (data, losses)), "", ""]
        inside = node.lane if node.arms else "hollow"
        places = {"x": node.lane, "y": node.row, "lane": node.lane, "inside": inside}
        words["arms"] = shortened(words["arms"], of_arms)
        rows.append(places | words | {"data": data, "first": first, "second": second})
    return rows


def tree_picture(found: list[Node], narrow: bool = False) -> dict[str, Any]:
    """Return the tree as a Vega-Lite specification: lines and points on the left, what each step did beside them."""
    import altair as alt

    step, lanes = (62 if narrow else 30), max(node.lane for node in found) + 1
    last = max(1, lanes - 1)
    across = alt.X("x:Q").axis(None).scale(domain=[0, last], range=[14, 14 + LANE * last])
    down = alt.Y("y:Q").axis(None).scale(domain=[-0.5, len(found) - 0.5], range=[0, step * len(found)], nice=False)
    numbers, colours = list(range(lanes)), [LINES[lane % len(LINES)] for lane in range(lanes)]
    colour = alt.Color("lane:N").scale(domain=numbers, range=colours).legend(None)
    edge = alt.Stroke("lane:N").scale(domain=numbers, range=colours).legend(None)
    inside = alt.Fill("inside:N").scale(domain=[*numbers, "hollow"], range=[*colours, "var(--paper)"]).legend(None)
    lines = alt.Chart(alt.Data(values=edges(found))).mark_line(strokeWidth=2.5, strokeJoin="round")
    left = 14 + LANE * (lanes - 1) + 18
    room = NARROW - 180 if narrow else WIDE - left - ARMS
    rows = _rows(found, 48 if narrow else 40, room // LETTER)
    base = alt.Chart(alt.Data(values=rows)).encode(y=down)
    layers = [
        lines.encode(x=across, y=down, detail=alt.Detail("edge:N"), order=alt.Order("order:Q"), color=colour),
        base.mark_point(size=110, strokeWidth=2.5, opacity=1, filled=True).encode(x=across, fill=inside, stroke=edge),
        *_texts(base, left, narrow),
    ]
    chart = alt.layer(*layers).properties(width=NARROW if narrow else WIDE, height=step * len(found), padding=2)
    return chart.properties(autosize=alt.AutoSizeParams(type="none")).to_dict(validate=False)


def _texts(base: Any, left: int, narrow: bool) -> list[Any]:
    """Return the layers of text, from `left` on: columns, or three lines in the narrow form."""
    import altair as alt

    def text(field: str, x: int, **style: Any) -> Any:
        own: dict[str, Any] = {"align": "left", "baseline": "middle", "fontSize": 12, "color": "var(--soft)"} | style
        return base.mark_text(**own).encode(x=alt.XValue(x), text=alt.Text(f"{field}:N"))

    bold = {"fontSize": 13, "fontWeight": "bold"}
    if narrow:
        arms = text("arms", NARROW - 4, align="right", color="var(--blue)", dy=-16, **bold)
        name = text("name", left, color="var(--ink)", dy=-16, **bold)
        return [name, arms, text("first", left, dy=0), text("second", left, dy=15)]
    columns = [text("data", left + 175), text("train", left + 425), text("valid", left + 600)]
    arms = text("arms", left + ARMS, color="var(--blue)", **bold)
    return [text("name", left, color="var(--ink)", **bold), *columns, arms]
