"""The measures of groups of runs: their levels, and their differences from the first group. Pure."""

from dataclasses import dataclass
from statistics import fmean

from cantica.commands.comparison.crossed import OverSeeds
from cantica.commands.comparison.differences import Side, change, level, parts_of
from cantica.commands.comparison.revisions import Group, Revision
from cantica.commands.headline import entries, number, title
from cantica.probes.behaviours import MINUS
from cantica.reporting.inference import Estimate, Resampling
from cantica.reporting.losses import chain_measures
from cantica.reporting.measures import Measure
from cantica.reporting.results import all_measures
from cantica.reporting.rows import adjusted
from cantica.settings.arms import with_losses

Measured = dict[str, dict[str, Measure]]  # {name of a run: {key: measure}}


@dataclass(frozen=True)
class Row:
    """One measure of every group. An estimate is {} where there is none.

    context: of the first arm of the first group. levels: of each group, by name. differences: of each other group from the
    first, with p adjusted for their number. parts: {group of items: (levels, differences)}, adjusted over all parts.
    means: {group: {seed: mean}} of its runs.
    """

    measure: Measure
    context: Estimate
    levels: dict[str, Estimate]
    differences: dict[str, Estimate]
    parts: dict[str, tuple[dict[str, Estimate], dict[str, Estimate]]]
    means: dict[str, dict[str, float]]


def measured(revision: Revision) -> list[Measure]:
    """The measures of a revision's arms; also forgetting and backward transfer, whose items are categories."""
    params, records = revision.params, revision.records
    if not records or not revision.rules:
        return []
    chains = chain_measures(records["losses"], with_losses(params), params["curriculum"])
    return [*all_measures(records, params, revision.rules), *chains]


def every_measure(known: Measured, runs: list[Revision]) -> list[Measure]:
    """Every measure that some run has, as in the first that has it. Runs without records have those of their metrics.json."""
    found: dict[str, Measure] = {}
    for measures in known.values():
        found |= {key: m for key, m in measures.items() if key not in found}
    for run in (run for run in runs if run.metrics and not run.records):
        places = entries(run.metrics.get(run.arm))
        for place, entry in places.items():
            # A difference between two conditions has the unit of the later condition's level.
            within, level = "difference" in entry, places.get(place.rpartition(MINUS)[0], entry)
            found.setdefault(place, Measure(place, title(place), {}, share="share" in level, within=within))
    return list(found.values())


def side(m: Measure, group: Group, known: Measured, arm: str = "") -> Side:
    """The values of an arm in a group's runs, named after the arm; or of the arm that is compared, named after the group."""
    found = {seed: (known[run.name][m.key], arm or run.arm) for seed, run in group.built.items() if m.key in known[run.name]}
    runs = {seed: own.tables[of] for seed, (own, of) in found.items() if own.tables.get(of)}
    return Side(arm or group.name, runs, [one for own, of in found.values() for one in own.endings.get(of, [])])


def row(m: Measure, groups: list[Group], known: Measured, resampling: Resampling) -> Row:
    """One measure of every group, the baseline first. resampling: of intervals and tests."""
    first, *others = sides = [side(m, group, known) for group in groups]
    parts = parts_of(m, sides)
    changes = {other.name: change(parts, first, other, resampling) for other in others}
    by_part = adjusted({(part, name): own.parts[part] for part in parts for name, own in changes.items()})
    context = next((table for run in groups[0].built.values() if (table := _table(m, known, run, run.context))), {})
    return Row(
        m,
        level(m, {"": context}, resampling),
        {own.name: level(m, own.runs, resampling) or recorded(group, m) for own, group in zip(sides, groups, strict=True)},
        adjusted({name: own.whole for name, own in changes.items()}),
        {
            part: (
                {own.name: level(m, own.of(items).runs, resampling) for own in sides},
                {name: by_part[part, name] for name in changes},
            )
            for part, items in parts.items()
        },
        {own.name: {seed: fmean(values.values()) for seed, values in own.runs.items()} for own in sides},
    )


def _table(m: Measure, known: Measured, run: Revision, arm: str) -> dict[str, float]:
    own = known[run.name].get(m.key)
    return own.tables.get(arm, {}) if own else {}


def recorded(group: Group, m: Measure) -> OverSeeds:
    """The level of a group without records, from the metrics.json of its runs: one estimate, or the mean of several."""
    found = [entry for run in group.runs if run.metrics and (entry := entries(run.metrics.get(run.arm)).get(m.key))]
    if len(found) < 2:
        return {**found[0]} if found else {}
    middle, n = fmean(map(number, found)), found[0]["n"]
    if m.within:
        return {"difference": middle, "n": n, "seeds": len(found)}
    return {"share": middle, "n": n, "seeds": len(found)} if m.share else {"mean": middle, "n": n, "seeds": len(found)}
