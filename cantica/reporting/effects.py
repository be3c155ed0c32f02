"""The differences between two arms in the order in which people read them: findings first. Pure.

A finding is a difference whose interval excludes 0 and whose test is significant, for all items or for a group of them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Literal

from cantica.reporting import wording
from cantica.reporting.inference import Estimate
from cantica.reporting.measures import Measure
from cantica.reporting.rows import Rows

Status = Literal["better", "worse", "changed", "open", "doubtful"]
# Which direction is better, by the beginning of a measure's key. For behaviours and refusals it depends on the experiment.
BETTER = {
    **dict.fromkeys(("probe", "capability", "judge", "verdict"), "higher"),
    **dict.fromkeys(("loss_nats", "flags"), "lower"),
}
# What training does not aim at: it shows what was lost on the way.
CONTROLS = ("capability.",)
ANSWERED = ("judge.", "verdict.", "refusals", "flags")
PANELS = {
    "share": "Shares, in percentage points",
    "nats per token": "Losses and log-probabilities, in nats per token",
    "points": "Scores, in points",
}
Panels = dict[str, list["Effect"]]  # by unit


@dataclass(frozen=True)
class Effect:
    """The difference of an arm from another in a measure.

    group: the group of items; "" for all.
    """

    measure: Measure
    arm: str
    against: str
    estimate: Estimate
    group: str = ""

    @property
    def title(self) -> str:
        """The measure and the group in words, without the unit."""
        words = self.measure.title.split(",")[0].replace("_", " ")
        return f"{words}: {self.group.replace('_', ' ')}" if self.group else words

    @property
    def better(self) -> str:
        """Which direction is better: "higher", "lower" or ""."""
        return BETTER.get(self.measure.key.partition(".")[0], "")

    @property
    def is_control(self) -> bool:
        """Whether training does not aim at this measure."""
        return self.measure.key.startswith(CONTROLS)

    @property
    def finding(self) -> str:
        """The conclusion in words."""
        return wording.finding(self.estimate)

    @property
    def status(self) -> Status:
        """Whether the arm is better or worse, or just different, or why there is no conclusion."""
        if wording.is_doubtful(self.estimate):
            return "doubtful"
        if not wording.is_clear(self.estimate):
            return "open"
        if not self.better:
            return "changed"
        return "better" if self.finding == self.better else "worse"

    @property
    def is_finding(self) -> bool:
        """Whether the difference is clear."""
        return self.status in ("better", "worse", "changed")

    @property
    def items(self) -> str:
        """The fragment of the page that shows the items behind the difference."""
        if self.measure.key.startswith(ANSWERED):
            kind = self.measure.key.split(".")[-1] if self.measure.key.startswith(("judge.", "verdict.")) else ""
            wanted = {"left": self.against, "right": self.arm, "kind": kind, "group": self.group}
            return "#answers?" + "&".join(f"{key}={value}" for key, value in wanted.items() if value)
        return f"#{items_id(self.measure)}{f'-{self.group}' if self.group else ''}"


def items_id(measure: Measure) -> str:
    """Return the id of the table with the items of a measure; all conditions and measures of a behaviour have one table."""
    parts = measure.key.split(".")
    return "items-" + "-".join(parts[:2] if parts[0] == "behaviours" else parts)


def effects_of(measures: Iterable[Measure], rows: Rows, arm: str, against: str) -> Iterator[Effect]:
    """Yield the difference in each measure that both arms have, each followed by those of its groups."""
    for measure in measures:
        if rows.has(arm, measure.key, against):
            yield Effect(measure, arm, against, rows.get(arm, measure.key, against=against))
            for group in dict.fromkeys(measure.groups.values()):
                estimate = rows.get(arm, measure.key, group, against)
                if estimate["n"]:
                    yield Effect(measure, arm, against, estimate, group)


def leading(effects: Iterable[Effect]) -> list[Effect]:
    """Return what the plot shows: each measure for all items, and the groups that are findings or differ in opposite ways."""
    found = list(effects)
    opposed = {effect.measure.key for effect in found if "opposed" in effect.estimate}
    return [effect for effect in found if not effect.group or effect.is_finding or effect.measure.key in opposed]


def panels(effects: Iterable[Effect]) -> Panels:
    """Return the effects by unit. Panels with a finding come first, and in each panel its findings.

    Among these, and among the others: first what the rules, which match words, did not score; then controls; then by size.
    """
    found: Panels = {unit: [] for unit in PANELS}
    for effect in effects:
        if effect.estimate["n"]:
            found[effect.measure.unit].append(effect)
    ordered = {unit: sorted(own, key=_place) for unit, own in found.items() if own}
    return dict(sorted(ordered.items(), key=lambda panel: not panel[1][0].is_finding))


def _place(effect: Effect) -> tuple[bool, bool, bool, float]:
    size = -abs(effect.estimate.get("effect") or inf) if effect.is_finding else 0.0  # without spread, every item differs alike
    return not effect.is_finding, effect.measure.lexical, effect.is_control, size


def findings(effects: Iterable[Effect]) -> list[Effect]:
    """Return the findings in the order of `panels`. A group is left out if all items show the same direction."""
    found = [effect for own in panels(effects).values() for effect in own]
    whole = {(effect.measure.key, effect.finding) for effect in found if not effect.group}
    return [e for e in found if e.is_finding and not (e.group and (e.measure.key, e.finding) in whole)]
