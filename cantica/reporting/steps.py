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
            at = "" if iteration is None else f" (iteration {iteration})"
            found.append(f"{arm}{at}{' with a system prompt' if own.get('system') else ''}")
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


def tree_picture(found: list[Node], narrow: bool = False) -> dict[str, Any]:
    """Return the tree as a Vega-Lite specification: lines and points on the left, what each step did beside them."""
    import altair as alt

    step, lanes = (62 if narrow else 30), max(node.lane for node in found) + 1
    left = 14 + LANE * (lanes - 1) + 18
    letters = 48 if narrow else 40
    rows = [{"x": n.lane, "y": n.row, "lane": n.lane, "inside": n.lane if n.arms else "hollow"} | _words(n) for n in found]
    for row in rows:
        lines = [shortened(str(row["data"]), letters), " · ".join(filter(None, (str(row["train"]), str(row["valid"]))))]
        first, second, *_ = [*filter(None, lines), "", ""]
        row |= {"data": lines[0], "first": first, "second": second}
    across = alt.X("x:Q").axis(None).scale(domain=[0, max(1, lanes - 1)], range=[14, 14 + LANE * max(1, lanes - 1)])
    down = alt.Y("y:Q").axis(None).scale(domain=[-0.5, len(found) - 0.5], range=[0, step * len(found)], nice=False)
    colours = [LINES[lane % len(LINES)] for lane in range(lanes)]
    colour = alt.Color("lane:N").scale(domain=list(range(lanes)), range=colours).legend(None)
    lines = alt.Chart(alt.Data(values=edges(found))).mark_line(strokeWidth=2.5, strokeJoin="round")
    base = alt.Chart(alt.Data(values=rows)).encode(y=down)
    hollow = alt.Fill("inside:N").scale(domain=[*range(lanes), "hollow"], range=[*colours, "var(--paper)"]).legend(None)
    edge = alt.Stroke("lane:N").scale(domain=list(range(lanes)), range=colours).legend(None)
    points = base.mark_point(size=110, strokeWidth=2.5, opacity=1, filled=True)

    def text(field: str, x: int, **style: Any) -> Any:
        own: dict[str, Any] = {"align": "left", "baseline": "middle", "fontSize": 12, "color": "var(--soft)"} | style
        return base.mark_text(**own).encode(x=alt.XValue(x), text=alt.Text(f"{field}:N"))

    bold = {"fontSize": 13, "fontWeight": "bold"}
    if narrow:
        arms = text("arms", NARROW - 4, align="right", color="var(--blue)", dy=-16, **bold)
        name = text("name", left, color="var(--ink)", dy=-16, **bold)
        texts = [name, arms, text("first", left, dy=0), text("second", left, dy=15)]
    else:
        name = text("name", left, color="var(--ink)", **bold)
        arms = text("arms", left + 735, color="var(--blue)", **bold)
        texts = [name, text("data", left + 175), text("train", left + 425), text("valid", left + 600), arms]
    layers = [
        lines.encode(x=across, y=down, detail=alt.Detail("edge:N"), order=alt.Order("order:Q"), color=colour),
        points.encode(x=across, fill=hollow, stroke=edge),
        *texts,
    ]
    chart = alt.layer(*layers).properties(width=NARROW if narrow else WIDE, height=step * len(found), padding=2)
    return chart.properties(autosize=alt.AutoSizeParams(type="none")).to_dict(validate=False)  # type: ignore[no-any-return]
