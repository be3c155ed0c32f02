"""What was measured of groups of runs, as levels and as differences from the first group. Pure."""

from dataclasses import dataclass
from statistics import fmean

from cantica.commands.comparison import crossed
from cantica.commands.comparison.crossed import Runs
from cantica.commands.comparison.revisions import Group, Revision
from cantica.commands.headline import entries, title
from cantica.reporting import inference
from cantica.reporting.endings import Ending, unequal_endings
from cantica.reporting.losses import chain_measures
from cantica.reporting.measures import Measure, Table
from cantica.reporting.results import all_measures
from cantica.reporting.rows import adjusted, opposed

Told = dict[str, dict[str, Measure]]  # {name of a run: {key: measure}}


@dataclass(frozen=True)
class Row:
    """One measure of every group; entries are like those of metrics.json, {} where there is none.

    context: of the first arm of the first group. levels: of each group, by name. differences: of each group but the first
    from the first, p adjusted for their number. parts: {group of items: (levels, differences)}, adjusted for all of them.
    Differences are marked as in details.json where answers did not end alike, and where groups of items go opposite ways.
    """

    measure: Measure
    context: dict
    levels: dict[str, dict]
    differences: dict[str, dict]
    parts: dict[str, tuple[dict[str, dict], dict[str, dict]]]


def measured(revision: Revision) -> list[Measure]:
    """What was measured of a revision's arms; forgetting and backward transfer too, with the category as the item."""
    params, records = revision.params, revision.records
    chains = chain_measures(records["losses"], params["arms"], params["curriculum"])
    return [*all_measures(records, params, revision.rules), *chains]


def every_measure(told: Told, runs: list[Revision]) -> list[Measure]:
    """Every measure that some run has, as the first that has it tells it; of runs without records, as their metrics name it."""
    found: dict[str, Measure] = {}
    for measures in told.values():
        found |= {key: m for key, m in measures.items() if key not in found}
    for run in (run for run in runs if run.metrics and not run.records):
        for place, entry in entries(run.metrics.get(run.arm)).items():
            within = "difference" in entry  # of shares
            named = Measure(place, title(place), {}, share=within or "share" in entry, within=within)
            found.setdefault(place, named)
    return list(found.values())


def row(m: Measure, groups: list[Group], told: Told, draws: dict[str, int]) -> Row:
    """One measure of every group, the baseline first. draws: seed and resamples of what is drawn for intervals and tests."""

    def of(run: Revision, arm: str) -> Table:
        return told[run.name][m.key].tables.get(arm, {}) if m.key in told[run.name] else {}

    tables = {group.name: {seed: table for seed, run in group.built.items() if (table := of(run, run.arm))} for group in groups}
    every = [table for runs in tables.values() for table in runs.values()]
    inside = {
        part: {
            name: {seed: {item: table[item] for item in table if m.groups.get(item) == part} for seed, table in runs.items()}
            for name, runs in tables.items()
        }
        for part in dict.fromkeys(m.groups[item] for table in every for item in table if item in m.groups)
    }
    context = next((table for run in groups[0].built.values() if (table := of(run, run.context))), {})
    by_part = adjusted(
        {(part, name): entry for part, within in inside.items() for name, entry in against_first(within, draws).items()}
    )
    by_part = {(part, name): entry and entry | _unlike(m, groups, told, name, part) for (part, name), entry in by_part.items()}
    whole = {
        name: entry and entry | _unlike(m, groups, told, name) | _opposed(by_part, name)
        for name, entry in adjusted(against_first(tables, draws)).items()
    }
    return Row(
        m,
        level(m, {"": context}, draws),
        {group.name: level(m, tables[group.name], draws) or recorded(group, m) for group in groups},
        whole,
        {
            part: (
                {name: level(m, runs, draws) for name, runs in within.items()},
                {name: by_part[part, name] for name in list(within)[1:]},
            )
            for part, within in inside.items()
        },
    )


def _opposed(by_part: dict[tuple[str, str], dict], name: str) -> dict:
    found = opposed({part: entry for (part, group), entry in by_part.items() if entry and group == name})
    return {"opposed": found} if found else {}


def _unlike(m: Measure, groups: list[Group], told: Told, name: str, part: str | None = None) -> dict:
    """The mark of a group whose answers ended otherwise than the first's, over all items or over those of a part."""

    def endings(group: Group) -> list[Ending]:
        measures = [(told[run.name][m.key], run.arm) for run in group.built.values() if m.key in told[run.name]]
        every = [(one, measure.groups.get(one.id)) for measure, arm in measures for one in measure.endings.get(arm, [])]
        return [one for one, of in every if part is None or of == part]

    sides = {group.name: endings(group) for group in groups if group.name in (groups[0].name, name)}
    found = unequal_endings(sides)
    return {"unequal": found} if found else {}


def against_first(tables: dict[str, Runs], draws: dict[str, int]) -> dict[str, dict]:
    """The difference of each group but the first from the first."""
    first, *others = tables
    return {name: difference(tables[first], tables[name], draws) for name in others}


def level(m: Measure, runs: Runs, draws: dict[str, int]) -> dict:
    """The mean or share of the runs of a group with its interval, or what is a difference already; {} without runs."""
    if m.within:
        return difference({seed: dict.fromkeys(table, 0.0) for seed, table in runs.items()}, runs, draws)
    if len(runs) > 1:
        return crossed.level(runs, m.share)
    values = [value for table in runs.values() for value in table.values()]
    return (inference.share(values) if m.share else inference.mean(values, **draws)) if runs else {}


def difference(first: Runs, second: Runs, draws: dict[str, int]) -> dict:
    """The second's runs minus the first's; {} without runs. With one run on a side, of items alone, the other side averaged."""
    if not first or not second:
        return {}
    if min(len(first), len(second)) > 1:
        return crossed.difference(first, second, **draws)
    return inference.paired(crossed.averaged(first), crossed.averaged(second), **draws)


def recorded(group: Group, m: Measure) -> dict:
    """What the metrics that git holds tell of a group without records: its one run's entry, or the mean of those of several."""
    key = "difference" if m.within else "share" if m.share else "mean"
    found = [entries(run.metrics.get(run.arm)).get(m.key, {}) for run in group.runs if run.metrics]
    found = [entry for entry in found if {key, "n"} <= entry.keys()]
    if len(found) < 2:
        return found[0] if found else {}
    return {key: fmean(entry[key] for entry in found), "n": found[0]["n"], "seeds": len(found)}
