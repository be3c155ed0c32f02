"""The contrasts of params.yaml, pairs of arms, within the runs of each group. Pure."""

from dataclasses import dataclass

from cantica.commands.comparison.differences import change, level, parts_of
from cantica.commands.comparison.revisions import Group
from cantica.commands.comparison.rows import Measured, side
from cantica.reporting.inference import Estimate, Resampling
from cantica.reporting.measures import Measure
from cantica.reporting.rows import adjusted


@dataclass(frozen=True)
class Sides:
    """Two arms of a group's runs by one measure: the level of the arm and of the one that it is compared with.

    difference: the first minus the second, each run paired with itself. All are over the items that both have.
    """

    arm: Estimate
    against: Estimate
    difference: Estimate


@dataclass(frozen=True)
class Contrast:
    """An arm compared with another one. rows: for each measure that both have, {group: its sides}."""

    arm: str
    against: str
    rows: list[tuple[Measure, dict[str, Sides]]]


Key = tuple[tuple[str, str], str]  # (arm, against), group


def contrasts(measures: list[Measure], groups: list[Group], known: Measured, resampling: Resampling) -> list[Contrast]:
    """Every contrast that some run names, in every group that has both arms. A contrast without values is left out.

    p is adjusted for the number of differences of a measure, over all contrasts and groups.
    """
    runs = [run for group in groups for run in group.built.values()]
    pairs = dict.fromkeys((arm, against) for run in runs for arm, against in run.params["contrasts"])
    found: dict[tuple[str, str], list[tuple[Measure, dict[str, Sides]]]] = {pair: [] for pair in pairs}
    for m in measures:
        sides = {(pair, group.name): _sides(m, *pair, group, known, resampling) for pair in pairs for group in groups}
        differences: dict[Key, Estimate] = {key: own.difference for key, own in sides.items() if own.difference}
        by_key = adjusted(differences)
        for pair, rows in found.items():
            of_pair = {
                name: Sides(own.arm, own.against, by_key[of, name])
                for (of, name), own in sides.items()
                if of == pair and own.difference
            }
            rows += [(m, of_pair)] if of_pair else []
    return [Contrast(arm, against, rows) for (arm, against), rows in found.items() if rows]


def _sides(m: Measure, arm: str, against: str, group: Group, known: Measured, resampling: Resampling) -> Sides:
    """The sides of a contrast by one measure in one group, on the items that both have; p is not adjusted."""
    first, second = side(m, group, known, against), side(m, group, known, arm)
    both = first.items & second.items
    if not both:
        return Sides({}, {}, {})
    first, second = first.of(both), second.of(both)
    whole = change(parts_of(m, (first, second)), first, second, resampling).whole
    return Sides(level(m, second.runs, resampling), level(m, first.runs, resampling), whole)
