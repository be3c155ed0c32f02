"""The rows of a report: the level of each measure for each arm, and its difference from another arm. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from cantica.reporting import inference
from cantica.reporting.endings import counts, of_items, unequal_endings
from cantica.reporting.inference import FEWEST, Estimate, Key, Resampling
from cantica.reporting.measures import Measure, Table


@dataclass(frozen=True)
class Row:
    """The estimate of one measure for one arm.

    measure: its key. group: the group of items; "" for all items. against: the arm that `arm` is compared with; "" for a level.
    """

    arm: str
    measure: str
    estimate: Estimate
    group: str = ""
    against: str = ""


def levels(measure: Measure, arm: str, resampling: Resampling, against: str = "") -> list[Row]:
    """Return a row for all items, then one for each group: mean or share, and the counts of truncated answers and the like."""

    def row(table: Table, group: str = "") -> Row:
        estimate = level(measure, table, resampling)
        estimate |= counts(of_items(measure.endings.get(arm, []), table))  # type: ignore[typeddict-item]  # keys of Estimate
        return Row(arm, measure.key, estimate, group, against)

    return [row(measure.tables[arm]), *(row(table, group) for group, table in measure.by_group(arm).items())]


def level(measure: Measure, table: Table, resampling: Resampling) -> Estimate:
    """Return the mean or share of an arm's values; the difference if they are differences within the arm."""
    if measure.within:
        return inference.paired(dict.fromkeys(table, 0.0), table, **resampling)
    return inference.share(table.values()) if measure.share else inference.mean(table.values(), **resampling)


def differences(measure: Measure, first: str, second: str, resampling: Resampling) -> list[Row]:
    """Return a row for the paired difference of all items, then one for each group. p of groups are adjusted (Holm).

    `unequal` is set if the answers of the two arms ended differently, `opposed` if groups differ in opposite directions.
    """
    before, after = (measure.endings.get(arm, []) for arm in (first, second))

    def difference(table: Table) -> Estimate:
        estimate = inference.paired(table, measure.tables[second], **resampling)
        both = table.keys() & measure.tables[second].keys()
        unequal = unequal_endings({first: of_items(before, both), second: of_items(after, both)})
        return estimate | {"unequal": unequal} if unequal else estimate

    groups = adjusted({group: difference(table) for group, table in measure.by_group(first).items()})
    whole = difference(measure.tables[first])
    if found := opposed(groups):
        whole["opposed"] = found
    parts = (Row(second, measure.key, estimate, group, first) for group, estimate in groups.items())
    return [Row(second, measure.key, whole, against=first), *parts]


def adjusted(family: dict[Key, Estimate]) -> dict[Key, Estimate]:
    """Return the differences of one family, with p adjusted for the number of differences (Holm)."""
    p = inference.holm({name: estimate["p"] for name, estimate in family.items() if "p" in estimate})
    return {name: estimate | {"p": p[name]} if name in p else estimate for name, estimate in family.items()}


def opposed(groups: dict[str, Estimate]) -> dict[str, float]:
    """Return the differences of the groups whose intervals exclude 0, if some are above 0 and some below; else {}.

    Groups of fewer than FEWEST items are ignored, because an interval over two equal values has no width, and would exclude 0.
    """
    clear = {
        group: estimate["difference"]
        for group, estimate in groups.items()
        if estimate["n"] >= FEWEST and not estimate["low"] <= 0 <= estimate["high"]
    }
    return clear if len({value > 0 for value in clear.values()}) == 2 else {}


@dataclass(frozen=True)
class Rows:
    """Rows, with methods to look up their estimates."""

    rows: list[Row]

    @cached_property
    def estimates(self) -> dict[tuple[str, str, str, str], Estimate]:
        """{(arm, measure, group, against): estimate}, in the order of the rows. Rows with the same key are merged."""
        found: dict[tuple[str, str, str, str], Estimate] = {}
        for row in self.rows:
            key = (row.arm, row.measure, row.group, row.against)
            found[key] = found.get(key, Estimate()) | row.estimate
        return found

    @cached_property
    def measures(self) -> set[str]:
        """The keys of all measures."""
        return {row.measure for row in self.rows}

    def get(self, arm: str, measure: str, group: str = "", against: str = "") -> Estimate:
        """Return the estimate of a measure, or {"n": 0} if the arm, pair of arms or group does not have it.

        Raises KeyError if no arm has such a measure.
        """
        if measure not in self.measures:
            raise KeyError(measure)
        return self.estimates.get((arm, measure, group, against), {"n": 0})

    def has(self, arm: str, measure: str, against: str = "") -> bool:
        """Return whether the arm has a level of a measure, or a difference from another arm."""
        return (arm, measure, "", against) in self.estimates


def rounded(rows: Iterable[Row]) -> list[Row]:
    """Return the rows with rounded numbers."""
    return [Row(row.arm, row.measure, cast(Estimate, rounded_numbers(row.estimate)), row.group, row.against) for row in rows]


def rounded_numbers(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Return an estimate with numbers rounded to four decimals, and p to six."""
    return {
        key: rounded_numbers(value) if isinstance(value, dict) else round(value, 6 if key == "p" else 4)
        for key, value in numbers.items()
    }
