"""Revisions side by side: `cantica compare REV…`. Runs of one variant with several seeds are one group."""

from dataclasses import replace
from pathlib import Path

from cantica.commands.comparison.conditions import budget, differing, notes, unequal
from cantica.commands.comparison.contrasts import Row, every_measure, measured, row
from cantica.commands.comparison.crossed import averaged
from cantica.commands.comparison.revisions import Group, Revision, grouped, read_revisions
from cantica.core.documents import read_yaml
from cantica.core.files import write_text
from cantica.core.params import FILE
from cantica.reporting import wording
from cantica.reporting.endings import TOLERANCE
from cantica.reporting.measures import Measure, items
from cantica.reporting.pages import render

TEMPLATES = Path(__file__).parent / "templates"
MOVED = 3  # prompts that are shown of each group
ARROWS = {"higher": "↑", "lower": "↓"}


def compare(names: list[str], baseline: str | None, reports: Path) -> str:
    """Write `compare.html` and `compare.md` into a folder and return a summary for the terminal.

    Raises InputError for a name that nothing has, and for a baseline that is none of the groups.
    """
    settings = read_yaml(FILE)
    facts = compared(read_revisions(names), baseline, settings["report"], settings["audit"]["budget_gap"])
    filters = (*wording.FILTERS, reach, across)
    for name in ("compare.html", "compare.md"):
        write_text(reports / name, render(f"{name}.j2", facts, filters, TEMPLATES))
    return "\n".join([*summary(facts), "", f"{reports / 'compare.html'} and compare.md tell the whole"])


def compared(revisions: list[Revision], baseline: str | None, draws: dict[str, int], gap: float) -> dict:
    """What the pages tell. draws: seed and resamples of bootstraps. gap: how far budgets may differ unmarked, as a share."""
    known = [tell(revision) for revision in revisions]
    groups = grouped([revision for revision, _ in known], baseline)
    told = {run.name: {m.key: m for m in found} for run, found in known}
    first, *others = groups
    budgets = {group.name: budget(group) for group in groups}
    unlike = {name: unequal(budgets[first.name], spent, gap) for name, spent in budgets.items()}
    return {
        "groups": groups,
        "first": first,
        "context": next((run.context for run in first.built.values()), ""),
        "others": others,
        "params": differing([(group.name, run.params) for group in groups for run in group.runs if run.params]),
        "budgets": budgets,
        "unequal": unlike,
        "unlike": {name: [kind for kind in kinds if kind != "steps"] for name, kinds in unlike.items()},
        "gap": gap,
        "tolerance": TOLERANCE,
        "rows": [row(m, groups, told, draws) for m in every_measure(told, [run for group in groups for run in group.runs])],
        "moved": {group.name: moved(first, group, MOVED) for group in others},
        "notes": {run.name: notes(run, group, first) for group in groups for run in group.runs},
    }


def tell(revision: Revision) -> tuple[Revision, list[Measure]]:
    """What was measured of a revision; nothing, with the reason in `lacks`, where its records have another form than now."""
    try:
        budget(Group(revision.group, [revision]))
        return revision, measured(revision) if revision.records else []
    except (KeyError, TypeError, ValueError) as error:
        lacks = f"its records have another form: {type(error).__name__} {error}"
        return replace(revision, records={}, lacks=lacks), []


def moved(first: Group, second: Group, most: int) -> list[dict]:
    """The prompts whose mean score by the rules changed most between two groups, with the answers of each run of the second.

    [{"id", "prompt", "kind", "change", "pairs": [(run of first, its answers, run of second, its answers)]}]; an answer is its
    response with its judgement. A run stands beside the first group's run of its seed, or else beside that group's first run.
    """
    if not first.built or not second.built:
        return []
    before, after = (
        {s: items(r.records["judgements"][r.arm], lambda j: j["score"]) for s, r in g.built.items()} for g in (first, second)
    )
    before, after = averaged(before), averaged(after)
    changes = {id_: after[id_] - before[id_] for id_ in after if id_ in before and after[id_] != before[id_]}
    found = []
    for id_ in sorted(changes, key=lambda id_: (-abs(changes[id_]), id_))[:most]:
        beside = next(iter(first.built.values()))
        pairs = [(first.built.get(seed, beside), run) for seed, run in second.built.items()]
        told = [(one.name, answers(one, id_), other.name, answers(other, id_)) for one, other in pairs]
        prompt = {"id": id_, "prompt": beside.asked.get(id_, id_), "kind": told[0][1][0]["kind"], "change": changes[id_]}
        found.append(prompt | {"pairs": told})
    return found


def answers(run: Revision, id_: str) -> list[dict]:
    """The last arm's answers to a prompt, each with its judgement."""
    responses, judgements = run.records["responses"][run.arm], run.records["judgements"][run.arm]
    judged = {j["sample"]: j for j in judgements if j["id"] == id_}
    return [r | judged[r["sample"]] for r in responses if r["id"] == id_]


def summary(facts: dict) -> list[str]:
    """The differences as a table for the terminal, levels where there are none, and what a reader must know of each run."""
    first, others = facts["first"], facts["others"]
    differences = [("", first.name, *(group.name for group in others))]
    for one in facts["rows"]:
        m = one.measure
        cells = [
            f"{wording.difference(entry, m.digits, m.share)} {arrow(entry)}" if entry else "– "
            for entry in one.differences.values()
        ]
        differences.append((m.title, level_of(one, first), *cells))
    text = aligned(differences)
    if others:
        text += ["", f"differences from {first.name}; ↑ ↓ where one can be concluded"]
    # Without its records a run has the levels that its metrics.json holds, and no differences.
    if lone := [group for group in others if not (first.built and group.built) and group_levels(facts, group)]:
        levels = [("", first.name, *(group.name for group in lone))]
        levels += [(one.measure.title, *(level_of(one, group) for group in (first, *lone))) for one in facts["rows"]]
        text += ["", *aligned(levels), "", "levels where records are missing, which differences need"]
    told = [(name, f"trained on another budget: {', '.join(kinds)}") for name, kinds in facts["unlike"].items() if kinds]
    told += [(name, note) for name, notes in facts["notes"].items() for note in notes]
    return [*text, *([""] if told else []), *(f"{name}: {note}" for name, note in told)]


def group_levels(facts: dict, group: Group) -> list[dict]:
    """The levels that are known of a group."""
    return [one.levels[group.name] for one in facts["rows"] if one.levels[group.name]]


def level_of(one: Row, group: Group) -> str:
    """A group's level of a measure as it reads, or a dash."""
    entry = one.levels[group.name]
    return wording.level(entry, one.measure.digits, one.measure.share) if entry else "–"


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows of cells as lines, the first column to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(f"{cell:{'>' if n else '<'}{width}}" for n, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    )
    return [line.rstrip() for line in lines]


def arrow(entry: dict) -> str:
    """Which way a difference goes, where one can be concluded."""
    return ARROWS.get(wording.finding(entry), " ")


def reach(one: Row) -> float:
    """How far from 0 the differences of a measure and their intervals reach, to draw them to one scale."""
    ends = [abs(entry[end]) for entry in one.differences.values() for end in ("difference", "low", "high") if end in entry]
    return max(ends, default=0.0) or 1.0


def across(value: float, far: float) -> str:
    """Where a difference stands between -far and far, in percent of the width."""
    return f"{50 + 47 * value / far:.1f}%"
