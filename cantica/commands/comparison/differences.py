"""Levels and differences of one measure over runs with several seeds. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from cantica.commands.comparison import crossed
from cantica.commands.comparison.crossed import Runs
from cantica.reporting import inference
from cantica.reporting.endings import Ending, of_items, unequal_endings
from cantica.reporting.inference import Estimate, Resampling
from cantica.reporting.measures import Measure
from cantica.reporting.rows import opposed


@dataclass(frozen=True)
class Side:
    """One side of a difference: the values of one measure for an arm of the runs of a group.

    name: as readers see it. runs: {seed: {item: value}}. endings: how the answers behind the values ended, of all runs.
    """

    name: str
    runs: Runs
    endings: list[Ending]

    @property
    def items(self) -> set[str]:
        """The items that all runs have."""
        return set.intersection(*map(set, self.runs.values())) if self.runs else set()

    def of(self, items: Iterable[str]) -> "Side":
        """The side with some items only."""
        chosen = set(items)
        runs = {seed: {item: value for item, value in table.items() if item in chosen} for seed, table in self.runs.items()}
        return Side(self.name, runs, of_items(self.endings, chosen))


@dataclass(frozen=True)
class Change:
    """The difference of one side from another, over all items and over each group of items; {} where there is none.

    Differences are marked as in details.json where the answers ended unequally, and where groups of items go opposite ways.
    """

    whole: Estimate
    parts: dict[str, Estimate] = field(default_factory=dict)


def change(parts: dict[str, list[str]], first: Side, second: Side, resampling: Resampling) -> Change:
    """The second side minus the first. parts: {group of items: its items}. p are not adjusted."""
    by_part = {part: _difference(first.of(items), second.of(items), resampling) for part, items in parts.items()}
    whole = _difference(first, second, resampling)
    found = opposed({part: entry for part, entry in by_part.items() if entry})
    return Change(whole | {"opposed": found} if whole and found else whole, by_part)


def parts_of(m: Measure, sides: Iterable[Side]) -> dict[str, list[str]]:
    """{group of items: its items} for the items that some side has."""
    found: dict[str, list[str]] = {}
    for item in dict.fromkeys(item for side in sides for table in side.runs.values() for item in table):
        if item in m.groups:
            found.setdefault(m.groups[item], []).append(item)
    return found


def level(m: Measure, runs: Runs, resampling: Resampling) -> Estimate:
    """The mean or share of some runs with its interval; for a measure `within` an arm its difference; {} without runs."""
    if m.within:
        return difference({seed: dict.fromkeys(table, 0.0) for seed, table in runs.items()}, runs, resampling)
    if len(runs) > 1:
        return crossed.level(runs, m.share)
    values = [value for table in runs.values() for value in table.values()]
    return (inference.share(values) if m.share else inference.mean(values, **resampling)) if runs else {}


def difference(first: Runs, second: Runs, resampling: Resampling) -> Estimate:
    """The second's runs minus the first's; {} without runs.

    With several runs on both sides, over runs and items. Otherwise over items alone, after averaging the runs of each side.
    """
    if not first or not second:
        return {}
    if min(len(first), len(second)) > 1:
        return crossed.difference(first, second, **resampling)
    return inference.paired(crossed.averaged(first), crossed.averaged(second), **resampling)


def _difference(first: Side, second: Side, resampling: Resampling) -> Estimate:
    """The difference of two sides, with a mark if the answers to the items that both have ended unequally."""
    entry = difference(first.runs, second.runs, resampling)
    if not entry:
        return entry
    both = first.items & second.items
    found = unequal_endings({side.name: of_items(side.endings, both) for side in (first, second)})
    return entry | {"unequal": found} if found else entry
