"""The measures of groups of runs: their levels, and their differences from the first group. Pure."""

from dataclasses import dataclass
from statistics import fmean

from cantica.commands.comparison import crossed
from cantica.commands.comparison.crossed import OverSeeds, Runs
from cantica.commands.comparison.revisions import Group, Revision
from cantica.commands.headline import entries, number, title
from cantica.reporting import inference
from cantica.reporting.endings import Ending, unequal_endings
from cantica.reporting.inference import Estimate, Resampling
from cantica.reporting.losses import chain_measures
from cantica.reporting.measures import Measure, Table
from cantica.reporting.results import all_measures
from cantica.reporting.rows import adjusted, opposed

Measured = dict[str, dict[str, Measure]]  # {name of a run: {key: measure}}


@dataclass(frozen=True)
class Row:
    """One measure of every group. An estimate is {} where there is none.

    context: of the first arm of the first group. levels: of each group, by name. differences: of each other group from the
    first, with p adjusted for their number. parts: {group of items: (levels, differences)}, adjusted over all parts.
    Differences are marked as in details.json where the responses ended unequally, and where groups of items go opposite ways.
    """

    measure: Measure
    context: Estimate
    levels: dict[str, Estimate]
    differences: dict[str, Estimate]
    parts: dict[str, tuple[dict[str, Estimate], dict[str, Estimate]]]


def measured(revision: Revision) -> list[Measure]:
    """The measures of a revision's arms; also forgetting and backward transfer, whose items are categories."""
    params, records = revision.params, revision.records
    if not records or not revision.rules:
        return []
    chains = chain_measures(records["losses"], params["arms"], params["curriculum"])
    return [*all_measures(records, params, revision.rules), *chains]


def every_measure(known: Measured, runs: list[Revision]) -> list[Measure]:
    """Every measure that some run has, as in the first that has it. Runs without records have those of their metrics.json."""
    found: dict[str, Measure] = {}
    for measures in known.values():
        found |= {key: m for key, m in measures.items() if key not in found}
    for run in (run for run in runs if run.metrics and not run.records):
        for place, entry in entries(run.metrics.get(run.arm)).items():
            within = "difference" in entry  # of shares
            named = Measure(place, title(place), {}, share=within or "share" in entry, within=within)
            found.setdefault(place, named)
    return list(found.values())


def row(m: Measure, groups: list[Group], known: Measured, resampling: Resampling) -> Row:
    """One measure of every group, the baseline first. resampling: of intervals and tests."""

    def of(run: Revision, arm: str) -> Table:
        return known[run.name][m.key].tables.get(arm, {}) if m.key in known[run.name] else {}

    tables = {group.name: {seed: table for seed, run in group.built.items() if (table := of(run, run.arm))} for group in groups}
    inside = _by_part(m, tables)
    pairs = {(part, name): entry for part, runs in inside.items() for name, entry in from_first(runs, resampling).items()}
    by_part = {
        (part, name): entry and entry | _unequal(m, groups, known, name, part)
        for (part, name), entry in adjusted(pairs).items()
    }
    whole = {
        name: entry and entry | _unequal(m, groups, known, name) | _opposed(by_part, name)
        for name, entry in adjusted(from_first(tables, resampling)).items()
    }
    context = next((table for run in groups[0].built.values() if (table := of(run, run.context))), {})
    return Row(
        m,
        level(m, {"": context}, resampling),
        {group.name: level(m, tables[group.name], resampling) or recorded(group, m) for group in groups},
        whole,
        {
            part: (
                {name: level(m, runs, resampling) for name, runs in of_part.items()},
                {name: by_part[part, name] for name in list(of_part)[1:]},
            )
            for part, of_part in inside.items()
        },
    )


def _by_part(m: Measure, tables: dict[str, Runs]) -> dict[str, dict[str, Runs]]:
    """The tables of each group of items alone, by its name."""
    every = [table for runs in tables.values() for table in runs.values()]
    parts = dict.fromkeys(m.groups[item] for table in every for item in table if item in m.groups)

    def only(table: Table, part: str) -> Table:
        return {item: table[item] for item in table if m.groups.get(item) == part}

    return {
        part: {name: {seed: only(table, part) for seed, table in runs.items()} for name, runs in tables.items()}
        for part in parts
    }


def _opposed(by_part: dict[tuple[str, str], Estimate], name: str) -> Estimate:
    """The mark of a group whose differences go opposite ways in different parts."""
    found = opposed({part: entry for (part, group), entry in by_part.items() if entry and group == name})
    return {"opposed": found} if found else {}


def _unequal(m: Measure, groups: list[Group], known: Measured, name: str, part: str | None = None) -> Estimate:
    """The mark of a group whose responses ended unlike the first group's, over all items or over those of a part."""

    def endings(group: Group) -> list[Ending]:
        measures = [(known[run.name][m.key], run.arm) for run in group.built.values() if m.key in known[run.name]]
        every = [(one, measure.groups.get(one.id)) for measure, arm in measures for one in measure.endings.get(arm, [])]
        return [one for one, of in every if part is None or of == part]

    sides = {group.name: endings(group) for group in groups if group.name in (groups[0].name, name)}
    found = unequal_endings(sides)
    return {"unequal": found} if found else {}


def from_first(tables: dict[str, Runs], resampling: Resampling) -> dict[str, Estimate]:
    """The difference of each other group from the first."""
    first, *others = tables
    return {name: difference(tables[first], tables[name], resampling) for name in others}


def level(m: Measure, runs: Runs, resampling: Resampling) -> Estimate:
    """The mean or share of a group's runs with its interval; for a measure `within` an arm its difference; {} without runs."""
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


def recorded(group: Group, m: Measure) -> OverSeeds:
    """The level of a group without records, from the metrics.json of its runs: one estimate, or the mean of several."""
    found = [entry for run in group.runs if run.metrics and (entry := entries(run.metrics.get(run.arm)).get(m.key))]
    if len(found) < 2:
        return {**found[0]} if found else {}
    middle, n = fmean(map(number, found)), found[0]["n"]
    if m.within:
        return {"difference": middle, "n": n, "seeds": len(found)}
    return {"share": middle, "n": n, "seeds": len(found)} if m.share else {"mean": middle, "n": n, "seeds": len(found)}
