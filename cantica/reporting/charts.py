"""The charts that the report and DVC's plots share, as Vega-Lite specifications. Pure.

The report draws them as SVG (draw.py); DVC fills them with the data of one or more commits (.dvc/plots/).
"""

import json
from collections.abc import Sequence
from typing import Any

from cantica.reporting.palette import LINES, look, of_light

Rows = Sequence[dict[str, Any]]
TICKS = 5
OF_DVC = "https://vega.github.io/schema/vega-lite/v5.json"  # the version of Vega-Lite that DVC's pages load


def spec_of(chart: Any, validate: bool = False) -> dict[str, Any]:
    """Return the specification of an Altair chart. The tests validate the specifications; a build does not wait for that."""
    found: dict[str, Any] = chart.to_dict(validate=validate)
    return {key: value for key, value in found.items() if key != "config"}


def loss_curve(rows: Rows, width: int, height: int) -> Any:
    """Return the training loss by iteration, one line for each branch. rows: those of reports/loss_curve.csv."""
    import altair as alt

    return (
        alt.Chart(alt.Data(values=list(rows)))
        .mark_line(point=alt.OverlayMarkDef(size=22), strokeWidth=2, tooltip=alt.TooltipContent("data"))
        .encode(
            x=alt.X("iteration:Q")
            .title("iteration, counted along each branch")
            .scale(zero=True)
            .axis(grid=False, tickCount=TICKS, tickMinStep=1),
            y=alt.Y("train_loss:Q").title("nats per token").scale(zero=False).axis(tickCount=TICKS),
            color=alt.Color("branch:N").sort(None).title("branch, by its last step").scale(range=LINES),
        )
        .properties(width=width, height=height)
    )


def loss_matrix(rows: Rows, width: int, height: int) -> Any:
    """Return the loss of each category after each step as a heat map.

    rows: those of reports/loss_matrix.csv. In the report they have `own` too: whether the step trained on the category. Such a
    cell has a frame.
    """
    import altair as alt

    base = alt.Chart(alt.Data(values=list(rows))).encode(
        x=alt.X("category:N").sort(None).title("validation examples of").axis(labelAngle=-40, domain=False, ticks=False),
        y=alt.Y("after:N").sort(None).title("after step").axis(domain=False, ticks=False),
    )
    # Opacity, not a scale of colours: it suits a light and a dark page, and its text stays readable.
    shade = alt.Opacity("loss:Q").scale(zero=False, range=[0.06, 0.62]).legend(None)
    number = alt.Text("loss:Q").format(".2f")
    cells = base.mark_rect(color="var(--heat)").encode(opacity=shade)
    frames = base.mark_rect(filled=False, stroke="var(--ink)", strokeWidth=2).transform_filter("datum.own")
    numbers = base.mark_text(fontSize=11, color="var(--ink)").encode(text=number)
    return (cells + frames + numbers).properties(width=width, height=height)


def checkpoint_chart(rows: Rows, share: bool, series: Sequence[str], domain: Sequence[float]) -> Any:
    """Return a measure by iteration, with 95% intervals, one line for each series.

    rows: {"iteration", "series", "value", "low", "high"}. domain: the ends of the axis.
    """
    import altair as alt

    colours = [look(number)[0] for number, _ in enumerate(series)]
    axis = alt.Axis(format=".0%" if share else ".2f", tickCount=4)
    base = alt.Chart(alt.Data(values=list(rows))).encode(
        x=alt.X("iteration:Q").title("iteration of the step").scale(zero=True).axis(grid=False, tickCount=4, tickMinStep=1),
        y=alt.Y("value:Q").title(None).scale(domain=list(domain), zero=False, nice=False).axis(axis),
        color=alt.Color("series:N").scale(domain=list(series), range=colours).legend(None),
    )
    band = base.mark_area(opacity=0.14).encode(y=alt.Y("low:Q"), y2=alt.Y2("high:Q"))
    line = base.mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=28))
    return (band + line).properties(width=360, height=170)


def history(rows: Rows, share: bool, positions: int) -> Any:
    """Return a measure over commits and experiments, with 95% intervals.

    rows: {"position", "value", "low", "high", "kind"}; kind: "commit", which a line joins, or "experiment". positions: how many
    there are.
    """
    import altair as alt

    axis = alt.Axis(format=".0%" if share else ".3~f", tickCount=4)
    x = alt.X("position:Q").title(None).scale(domain=[0.5, positions + 0.5], nice=False, zero=False)
    base = alt.Chart(alt.Data(values=list(rows))).encode(
        x=x.axis(grid=False, tickCount=min(positions, 12), tickMinStep=1, format="d"),
        y=alt.Y("value:Q").title(None).scale(zero=False).axis(axis),
    )
    interval = base.mark_rule(color="var(--soft)", strokeWidth=1.5).encode(y=alt.Y("low:Q"), y2=alt.Y2("high:Q"))
    line = base.mark_line(color="var(--blue)", strokeWidth=2).transform_filter("datum.kind == 'commit'")
    fill = alt.Fill("kind:N").scale(domain=["commit", "experiment"], range=["var(--blue)", "var(--paper)"]).legend(None)
    points = base.mark_point(size=50, opacity=1, filled=True, stroke="var(--blue)", strokeWidth=1.6).encode(fill=fill)
    return (interval + line + points).properties(width=360, height=150)


def dvc_template(chart: Any, title: str = "<DVC_METRIC_TITLE>") -> str:
    """Return the text of a template for DVC's plots: the chart side by side for each commit, filled by DVC."""
    inner = {key: value for key, value in spec_of(chart).items() if key not in ("$schema", "data", "datasets")}
    schema = {"$schema": OF_DVC, "data": {"values": "<DVC_METRIC_DATA>"}}
    frame = {"title": {"text": title, "anchor": "middle"}, "facet": {"column": {"field": "rev", "sort": []}}, "spec": inner}
    return of_light(json.dumps(schema | frame, indent=2)) + "\n"


DVC_TEMPLATES = {
    "branches": lambda: dvc_template(loss_curve([], 420, 320)),
    "loss_matrix": lambda: dvc_template(loss_matrix([], 420, 320)),
}
