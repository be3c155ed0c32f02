"""The type `Measure`: one value per item for each arm. Pure.

losses.py, probes.py, capability.py and judges.py make measures from records; rows.py computes means and differences from them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from cantica.reporting.endings import Ending
from cantica.settings.measures import Unit

NATS_DIGITS = 3  # decimals of values in nats per token
Table = dict[str, float]  # {item: value}


@dataclass(frozen=True)
class Measure:
    """One value per item for each arm. An item is an evaluation prompt, a probe, a capability item or a validation example.

    key: the dotted name in metrics.json, under an arm and under `against_<another arm>`.
    title: what readers see.
    tables: {arm: {item: value}} for the arms that can have values.
    groups: {item: its group}, for items that have one.
    share: whether values are from 0 to 1 (or differences of such values), and shown in percent.
    within: whether values are already differences within one arm (between two conditions).
    conditions: for a difference between two conditions, the measures of the later and of the earlier one.
    digits: the number of decimals that are shown.
    endings: {arm: how the answers behind its values ended}.
    lexical: whether values come from the rules, which match words and not meaning.
    """

    key: str
    title: str
    tables: dict[str, Table]
    groups: dict[str, str] = field(default_factory=dict)
    share: bool = False
    within: bool = False
    conditions: tuple["Measure", ...] = ()
    digits: int = 2
    endings: dict[str, list[Ending]] = field(default_factory=dict)
    lexical: bool = False

    @property
    def unit(self) -> Unit:
        """What its values are."""
        return "share" if self.share else "nats per token" if self.digits == NATS_DIGITS else "points"

    def by_group(self, arm: str) -> dict[str, Table]:
        """Return {group: {item: value}} for an arm."""
        parts: dict[str, Table] = {}
        for item, value in self.tables[arm].items():
            if item in self.groups:
                parts.setdefault(self.groups[item], {})[item] = value
        return parts


def items(records: Iterable[Mapping[str, Any]], value: Callable[[Any], float | None]) -> Table:
    """Return {id: the mean value of its records, one for each sample}. Records whose value is None are left out."""
    found: dict[str, list[float]] = {}
    for record in records:
        if (one := value(record)) is not None:
            found.setdefault(record["id"], []).append(one)
    return {id_: fmean(values) for id_, values in found.items()}
