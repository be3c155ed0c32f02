"""All pictures of the report, drawn: each in a wide and a narrow form, of which the page shows the one that fits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from cantica.probes.behaviours import Behaviour, is_share
from cantica.reporting import charts, effects, steps
from cantica.reporting.charts import spec_of
from cantica.reporting.curves import started, values_of
from cantica.reporting.draw import draw
from cantica.reporting.effects import PANELS, Effect
from cantica.reporting.figures import axis
from cantica.reporting.forest import forest_plot
from cantica.reporting.measures import Measure
from cantica.reporting.palette import look
from cantica.reporting.probes import Trajectory
from cantica.reporting.rows import Rows

WIDE, NARROW = 860, 300  # pixels of the plotted area


@dataclass(frozen=True)
class Panel:
    """The differences of one unit: the title, how many there are, and the picture."""

    title: str
    n: int
    picture: Markup


@dataclass(frozen=True)
class Comparison:
    """Two arms and their differences.

    findings: those that are clear, first ones first. doubtful, open: the others. controls: all of controls. panels: of each
    measure and of the groups that matter. others: panels of the remaining groups.
    """

    arm: str
    against: str
    effects: list[Effect]
    panels: list[Panel]
    others: list[Panel]

    @property
    def findings(self) -> list[Effect]:
        """The clear differences, the largest first."""
        return effects.findings(self.effects)

    @property
    def whole(self) -> list[Effect]:
        """The differences over all items of a measure."""
        return [effect for effect in self.effects if not effect.group]

    def with_status(self, status: str) -> list[Effect]:
        """Return the differences over all items that have this status."""
        return [effect for effect in self.whole if effect.status == status]


def both(wide: Callable[[bool], dict[str, Any]], label: str, linked: bool = False) -> Markup:
    """Return a picture in its wide and its narrow form. wide: a function of whether it is narrow."""
    forms = (draw(wide(False), label, linked, "wide"), draw(wide(True), label, linked, "narrow"))
    return Markup("").join(forms)


def comparison(measures: Sequence[Measure], rows: Rows, arm: str, against: str) -> Comparison:
    """Return the differences of an arm from another, drawn."""
    return of_effects(list(effects.effects_of(measures, rows, arm, against)), arm, against)


def of_effects(found: list[Effect], arm: str, against: str) -> Comparison:
    """Return differences with their pictures."""
    leading = effects.leading(found)
    rest = [effect for effect in found if effect not in leading]
    return Comparison(arm, against, found, _panels(leading, arm, against), _panels(rest, arm, against))


def _panels(found: Sequence[Effect], arm: str, against: str) -> list[Panel]:
    drawn = []
    for unit, own in effects.panels(found).items():
        label = (
            f"{PANELS[unit]}: {arm} minus {against}, {len(own)} differences with 95% intervals; the numbers are in the tables"
        )
        picture = both(lambda narrow, own=own: forest_plot(own, narrow), label, linked=True)  # type: ignore[misc]
        drawn.append(Panel(PANELS[unit], len(own), picture))
    return drawn


def tree(found: list[steps.Node]) -> Markup:
    """Return the picture of the tree of steps."""
    label = f"The tree of {len(found) - 1} training steps from the base model; the numbers are in the table of steps"
    return both(lambda narrow: steps.tree_picture(found, narrow), label)


def loss_curve(curve: list[dict[str, Any]], curriculum: dict[str, dict[str, Any]]) -> Markup:
    """Return the picture of the training loss; "" without any iteration."""
    rows = started(curve, curriculum)

    def spec(narrow: bool) -> dict[str, Any]:
        chart = charts.loss_curve(rows, NARROW if narrow else WIDE, 200 if narrow else 240)
        found = spec_of(chart)
        found["encoding"]["color"]["legend"] = None  # the page has one that wraps
        found["mark"].pop("tooltip")
        return found

    return both(spec, "Training loss by iteration, a line for each branch") if rows else Markup("")


def loss_matrix(cells: list[dict[str, Any]], titles: dict[str, str]) -> Markup:
    """Return the picture of the loss matrix; "" if nothing was measured. titles: those of the categories."""
    rows = [cell | {"category": titles[cell["category"]], "after": cell["after"].replace("_", " ")} for cell in cells]
    points, across = (len({row[key] for row in rows}) for key in ("after", "category"))

    def spec(narrow: bool) -> dict[str, Any]:
        width = min(240 if narrow else 860, 110 * across)
        found = spec_of(charts.loss_matrix(rows, width, (22 if narrow else 26) * points))
        for layer in found["layer"]:
            layer["encoding"]["x"]["title"] = layer["encoding"]["y"]["title"] = None  # the text above says it
        return found

    label = "Validation loss of each category after each step; the numbers are in the table"
    return both(spec, label) if rows else Markup("")


def behaviour_charts(
    name: str, behaviour: Behaviour, trajectories: dict[str, Trajectory]
) -> list[tuple[str, list[tuple[str, Markup]]]]:
    """Return [(measure, [(arm, picture)])]: each measure of a behaviour over the checkpoints of each arm that has some."""
    found = []
    for measure, kind in behaviour["measures"].items():
        keys = {f"behaviours.{name}.{measure}.{condition}": condition for condition in behaviour["conditions"]}
        found.append((measure, _over_checkpoints(keys, trajectories, is_share(kind))))
    return found


def probe_charts(trajectories: dict[str, Trajectory]) -> list[tuple[str, list[tuple[str, Markup]]]]:
    """Return the same for probe pairs."""
    margin, preferred = {"probe.margin_nats": "margin"}, {"probe.preferred": "chosen completion preferred"}
    kinds = (("margin, nats per token", margin, False), ("chosen completion preferred", preferred, True))
    found = [(title, _over_checkpoints(keys, trajectories, share)) for title, keys, share in kinds]
    return [(title, drawn) for title, drawn in found if drawn]


def _over_checkpoints(keys: dict[str, str], trajectories: dict[str, Trajectory], share: bool) -> list[tuple[str, Markup]]:
    """Return (arm, picture) for each arm. keys: {key of a measure: name of its line}. All arms have the same axis."""
    rows = {arm: values_of(found, keys) for arm, found in trajectories.items()}
    ends = [row[end] for found in rows.values() for row in found for end in ("low", "high")]
    if not ends:
        return []
    domain = (0.0, 1.0) if share else axis(ends)
    series = list(keys.values())
    drawn = {arm: spec_of(charts.checkpoint_chart(found, share, series, domain)) for arm, found in rows.items() if found}
    return [(arm, draw(spec, f"{', '.join(series)} of {arm} by iteration")) for arm, spec in drawn.items()]


def swatch(number: int) -> str:
    """Return the colour of a line of a chart, for its legend."""
    return look(number)[0]
