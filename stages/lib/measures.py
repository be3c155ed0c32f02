"""What is measured of arms, in one form: a table {item: value} for each arm. Pure.

From it follow a mean or share with its interval, and the paired difference of one arm from another, over all items and over
each group of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean

from stages.lib import inference

Table = dict[str, float]


@dataclass(frozen=True)
class Measure:
    """What was measured of every item under every arm.

    key: where its numbers stand under an arm in details.json, and in its section `against_<first arm>`; dotted.
    whole: the name of the entry for all items, beside those of the groups; "" puts it at `key` itself. In metrics.json, which
    has no groups, it always stands at `key`.
    groups: the group of an item, for items that have one. share: the values are shares, from 0 to 1, or differences of
    shares. within: the values are differences already, within an arm (with a trigger and without), so that a level is
    their paired difference from 0. digits: how many a reader is shown after the point.
    """

    key: str
    title: str
    tables: dict[str, Table]
    groups: dict[str, str] = field(default_factory=dict)
    whole: str = ""
    share: bool = False
    within: bool = False
    digits: int = 2

    @property
    def place(self) -> str:
        """Where the entry for all items stands in details.json."""
        return f"{self.key}.{self.whole}" if self.whole else self.key

    def nested(self, whole: dict, groups: dict[str, dict]) -> dict:
        """The entries for all items and for the groups, nested as `key` says."""
        entries = ({self.whole: whole} if self.whole else whole) | groups
        for name in reversed(self.key.split(".")):
            entries = {name: entries}
        return entries


def items(records: list[dict], value: Callable[[dict], float | None]) -> Table:
    """{id: value}: what `value` gives for a record, averaged over the samples of one id. Records without one are left out."""
    found: dict[str, list[float]] = {}
    for record in records:
        if (one := value(record)) is not None:
            found.setdefault(record["id"], []).append(one)
    return {id_: fmean(values) for id_, values in found.items()}


def levels(measure: Measure, arm: str, draws: dict[str, int]) -> dict:
    """Mean, share or difference from 0 of all items and of each group, each with its interval and n."""
    parts = _by_group(measure.tables[arm], measure.groups)
    return measure.nested(_level(measure, measure.tables[arm], draws), {g: _level(measure, p, draws) for g, p in parts.items()})


def _level(measure: Measure, table: Table, draws: dict[str, int]) -> dict:
    if measure.within:
        return inference.paired(dict.fromkeys(table, 0.0), table, **draws)
    return inference.share(table.values()) if measure.share else inference.mean(table.values(), **draws)


def differences(measure: Measure, first: str, second: str, draws: dict[str, int]) -> dict:
    """The paired difference over all items and over those of each group, whose p are adjusted for their number (Holm)."""
    parts = _by_group(measure.tables[first], measure.groups)
    groups = {group: inference.paired(part, measure.tables[second], **draws) for group, part in parts.items()}
    adjusted = inference.holm({group: entry["p"] for group, entry in groups.items() if "p" in entry})
    groups = {group: entry | ({"p": adjusted[group]} if group in adjusted else {}) for group, entry in groups.items()}
    return measure.nested(inference.paired(measure.tables[first], measure.tables[second], **draws), groups)


def _by_group(table: Table, groups: dict[str, str]) -> dict[str, Table]:
    parts: dict[str, Table] = {}
    for item, value in table.items():
        if item in groups:
            parts.setdefault(groups[item], {})[item] = value
    return parts
