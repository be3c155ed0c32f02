"""Measures at the kept checkpoints of arms, for those that claims follow over iterations (`steps_until`). Pure."""

from dataclasses import dataclass
from typing import Any

from cantica.commands.experiments.cited import Cited
from cantica.commands.experiments.levels import estimate_at
from cantica.commands.headline import number
from cantica.reporting.claims import from_document
from cantica.reporting.figures import Points
from cantica.settings.claims import Bound, claims_of


@dataclass(frozen=True)
class Panel:
    """A measure. bounds: those that it is to pass. curves: {arm: {seed: (iteration, value)}}. share: whether it is a share."""

    measure: str
    bounds: list[Bound]
    curves: dict[str, dict[str, Points]]
    share: bool


def panels(runs: list[Cited]) -> list[Panel]:
    """A panel for each measure of which a claim says when it passes a bound, with the arms that such claims are about."""
    found: dict[str, Panel] = {}
    for run in runs:
        numbers = from_document(run.claims)
        for name, claim in claims_of(run.params).items():
            for statement, own in zip(claim.statements, numbers[name], strict=True):
                if not statement.steps_until:
                    continue
                arms = [arm for arm in (statement.arm, statement.against) if arm]
                measure = statement.measure
                share = "share" in estimate_at(run.details, f"{arms[0]}.{measure}")
                panel = found.setdefault(measure, Panel(measure, [], {}, share))
                if statement.steps_until not in panel.bounds:
                    panel.bounds.append(statement.steps_until)
                for arm, side in zip(arms, own.sides, strict=False):
                    curve = [*_start(run, arm, measure), *((float(x), y) for x, y in side.curve)]
                    panel.curves.setdefault(arm, {})[run.seed] = curve
    return list(found.values())


def _start(run: Cited, arm: str, measure: str) -> Points:
    """The level before the first iteration of an arm's step: that of an arm at the point which the step continues, if any."""
    arms: dict[str, dict[str, Any]] = run.params["arms"]
    after = run.params["curriculum"][arms[arm]["point"]]["after"]
    same = [name for name, own in arms.items() if own["point"] == after and own.get("system") == arms[arm].get("system")]
    levels = [level for name in same if (level := estimate_at(run.details, f"{name}.{measure}"))]
    return [(0.0, number(levels[0]))] if levels else []
