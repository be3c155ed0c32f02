"""The forest plot: differences with their 95% intervals, as a Vega-Lite specification. Pure.

Text stands where it is told to, so that no font decides on the layout.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from cantica.reporting import wording
from cantica.reporting.effects import Effect
from cantica.reporting.inference import FEWEST, Estimate

COLOURS = {
    "better": "var(--better)",
    "worse": "var(--worse)",
    "changed": "var(--blue)",
    "open": "var(--soft)",
    "doubtful": "var(--soft)",
}
ARROWS = {"higher": "↑ better", "lower": "↓ better", "": ""}
# Places of one kind of plot in pixels. left: of the axis. text: of the numbers. step: the height of a row.
WIDE = {"left": 415, "width": 340, "text": 16, "right": 268, "step": 27, "letters": 64}
NARROW = {"left": 6, "width": 348, "text": 0, "right": 6, "step": 60, "letters": 50}


def number(effect: Effect) -> str:
    """Return a difference with its interval, as the tables show it."""
    digits, share = effect.measure.digits, effect.measure.share
    found = effect.estimate
    return f"{wording.difference(found, digits, share)} {wording.interval(found, digits, share)}".strip()


def plot_rows(effects: Sequence[Effect], letters: int = 99) -> list[dict[str, Any]]:
    """Return the rows of the plot, with the numbers of reports/details.json; shares in percentage points.

    detectable: the smallest difference that would be detected, 0 if it is not known. letters: the most in a label.
    """
    rows = []
    for place, effect in enumerate(effects):
        scale = 100 if effect.measure.share else 1
        found: Estimate = effect.estimate
        value = found["difference"]
        kinds = {"control": effect.is_control, "word rules": effect.measure.lexical}
        kind = [name for name, own in kinds.items() if own]
        marks = ", ".join([*kind, *filter(None, [ARROWS[effect.better]])])
        rows.append(
            {
                "place": place + 0.5,
                "label": shortened(effect.title, letters - len(marks)),
                "marks": marks,
                "value": round(scale * value, 4),
                "low": round(scale * found.get("low", value), 4),
                "high": round(scale * found.get("high", value), 4),
                "detectable": round(scale * found.get("detectable", 0.0), 4),
                "number": number(effect),
                "brief": " · ".join([number(effect), *kind]),
                "conclusion": conclusion(effect),
                "status": effect.status,
                "inside": effect.status if effect.is_finding else "hollow",
                "href": effect.items,
            }
        )
    return rows


def conclusion(effect: Effect) -> str:
    """Return the conclusion in one or two words; the tables give the reason."""
    if effect.is_finding:
        return effect.finding if effect.status == "changed" else f"{effect.finding}, {effect.status}"
    if effect.estimate["n"] < FEWEST:
        return f"only {effect.estimate['n']} item{'s' if effect.estimate['n'] > 1 else ''}"
    return wording.INCONCLUSIVE if effect.status == "open" else effect.finding.split(" (")[0].split(":")[0]


def shortened(text: str, letters: int) -> str:
    """Return a text of at most so many letters."""
    return text if len(text) <= letters else f"{text[: letters - 1].rstrip()}…"


def span(rows: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Return the ends of the axis: around all intervals and 0, with a margin."""
    ends = [0.0, *(row[end] for row in rows for end in ("low", "high"))]
    margin = (max(ends) - min(ends)) * 0.06 or 0.1
    return min(ends) - margin, max(ends) + margin


def forest_plot(effects: Sequence[Effect], narrow: bool = False) -> dict[str, Any]:
    """Return the plot of the differences of one unit: the interval of each, and in the background what would be detected."""
    size = NARROW if narrow else WIDE
    rows = plot_rows(effects, size["letters"])
    low, high = span(rows)
    reach = [{"from": max(low, -row["detectable"]), "to": min(high, row["detectable"])} for row in rows]
    values = [row | found for row, found in zip(rows, reach, strict=True)]
    ends = {"low": low, "high": high, "rows": len(rows)}
    own = {"datasets": {"rows": values}, "params": [{"name": name, "value": value} for name, value in ends.items()]}
    return _form(narrow) | own | {"height": size["step"] * len(rows)}


@cache
def _form(narrow: bool) -> dict[str, Any]:
    """Return the specification without the rows and without what follows from them: Altair takes long to make one."""
    import altair as alt

    size = NARROW if narrow else WIDE
    across = alt.Scale(domainMin=alt.ExprRef("low"), domainMax=alt.ExprRef("high"), nice=False, zero=False, padding=0)
    down = alt.Scale(domainMin=0, domainMax=alt.ExprRef("rows"), reverse=True, nice=False, padding=0)
    y = alt.Y("place:Q", scale=down).axis(None)
    colour = alt.Color("status:N").scale(domain=list(COLOURS), range=list(COLOURS.values())).legend(None)
    base = alt.Chart(alt.NamedData("rows")).encode(y=y)
    below = 15 if narrow else 0
    zero = "datum.value === 0 ? '0' : datum.label"
    axis = alt.Axis(tickCount=4, grid=True, format="+~f", labelExpr=zero, domain=False, ticks=False, labelPadding=6)

    def at(field: str) -> Any:
        return alt.X(f"{field}:Q").scale(across).title(None).axis(axis)

    hollow = {**COLOURS, "hollow": "var(--paper)"}
    filled = alt.Fill("inside:N").scale(domain=list(hollow), range=list(hollow.values())).legend(None)
    edge = alt.Stroke("status:N").scale(domain=list(COLOURS), range=list(COLOURS.values())).legend(None)
    layers = [
        base.mark_bar(height=13, color="var(--band)", yOffset=below).encode(x=at("from"), x2=alt.X2("to:Q")),
        alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color="var(--ink)", strokeWidth=1).encode(x=at("zero")),
        base.mark_rule(strokeWidth=2, yOffset=below).encode(x=at("low"), x2=alt.X2("high:Q"), color=colour),
        base.mark_point(size=62, strokeWidth=2, opacity=1, filled=True, yOffset=below).encode(
            x=at("value"), fill=filled, stroke=edge
        ),
        *_texts(base, size, colour, narrow),
    ]
    padding = {"left": size["left"], "right": size["right"], "top": 4, "bottom": 24}
    chart = alt.layer(*layers).properties(width=size["width"], padding=padding)
    return chart.properties(autosize=alt.AutoSizeParams(type="none")).to_dict(validate=False)


def _texts(base: Any, size: dict[str, int], colour: Any, narrow: bool) -> list[Any]:
    """Return the layers of the label, its marks, and the number with its conclusion. A label leads to the items."""
    import altair as alt

    def text(field: str, x: int, align: str, **style: Any) -> Any:
        own: dict[str, Any] = {"align": align, "baseline": "middle", "fontSize": 12} | style
        return base.mark_text(**own).encode(x=alt.XValue(x), text=alt.Text(f"{field}:N"))

    left, right = -size["left"], size["width"]
    if narrow:
        label = text("label", 0, "left", fontSize=13, color="var(--ink)", dy=-20)
        numbers = text("brief", 0, "left", color="var(--ink)", dy=-4)
        return [label.encode(href=alt.Href("href:N")), numbers, text("conclusion", right, "right", dy=-4).encode(color=colour)]
    label = text("label", left + 2, "left", fontSize=13, color="var(--ink)")
    marks = text("marks", -12, "right", fontSize=11, color="var(--soft)")
    numbers = text("number", right + size["text"], "left", color="var(--ink)")
    conclusions = text("conclusion", right + size["right"] - 4, "right").encode(color=colour)
    return [label.encode(href=alt.Href("href:N")), marks, numbers, conclusions]
