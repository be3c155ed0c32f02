"""`cantica compare REV…`: revisions side by side. Runs of one variant with several seeds are one group."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from cantica.commands.comparison import drawn, statements
from cantica.commands.comparison.claims import Decisions, decided
from cantica.commands.comparison.conditions import Budget, budget, differing, notes, unequal
from cantica.commands.comparison.contrasts import Contrast, Sides, contrasts
from cantica.commands.comparison.moved import Moved, moved
from cantica.commands.comparison.revisions import Group, Revision, grouped, read_revisions, with_arm
from cantica.commands.comparison.rows import Row, every_measure, measured, row
from cantica.commands.experiments.seeds import built_seeds, left_out
from cantica.commands.experiments.tuning import history, together, tuning_of
from cantica.commands.git import must
from cantica.commands.table import aligned
from cantica.commands.text import counted
from cantica.core.documents import read_yaml
from cantica.core.files import write_text
from cantica.core.params import FILE
from cantica.reporting import forest, pictures, wording
from cantica.reporting.endings import TOLERANCE
from cantica.reporting.inference import Estimate, Resampling
from cantica.reporting.measures import Measure
from cantica.reporting.pages import render

TEMPLATES = Path(__file__).parent / "templates"
MOST_MOVED = 3  # prompts that are shown of each group
SIGNS = "↑ higher, ↓ lower, no arrow: inconclusive"
ARROWS = {"higher": "↑", "lower": "↓"}
# Of a Comparison, as the pages name them.
FIELDS = (
    *("groups", "first", "others", "context", "params", "budgets", "unequal", "unlike", "gap", "rows", "contrasts", "moved"),
    *("notes", "claims", "comparisons", "seeds"),
)


@dataclass(frozen=True)
class Comparison:
    """Everything that the pages show. Mappings have the name of a group as key, or of a run in `notes`.

    groups: the baseline first. params: {key: {group: its values}} of those that differ. unequal: the kinds of budget in which
    a group differs from the baseline by more than `gap`, as a share. rows: the measures of the arm that is compared.
    contrasts: pairs of arms within the runs of each group. claims: the verdicts of each group that has claims.
    """

    groups: list[Group]
    claims: dict[str, Decisions]
    params: dict[str, dict[str, str]]
    budgets: dict[str, Budget]
    unequal: dict[str, list[str]]
    gap: float
    rows: list[Row]
    contrasts: list[Contrast]
    moved: dict[str, list[Moved]]
    notes: dict[str, list[str]]

    @property
    def first(self) -> Group:
        """The baseline."""
        return self.groups[0]

    @property
    def others(self) -> list[Group]:
        return self.groups[1:]

    @property
    def seeds(self) -> list[str]:
        """The seeds of all groups, in order, if some group has several."""
        found = {seed for group in self.groups for seed in group.built}
        return sorted(found, key=lambda seed: (len(seed), seed)) if any(len(own.built) > 1 for own in self.groups) else []

    @property
    def comparisons(self) -> list[pictures.Comparison]:
        """The differences of each other group from the baseline, with pictures."""
        return drawn.comparisons(self.rows, self.first.name, [group.name for group in self.others])

    @property
    def context(self) -> str:
        """The first arm of the baseline, or "" if it has no records."""
        return next((run.context for run in self.first.built.values()), "")

    @property
    def unlike(self) -> dict[str, list[str]]:
        """`unequal` without steps: the same training may be split into more or fewer steps."""
        return {name: [kind for kind in kinds if kind != "steps"] for name, kinds in self.unequal.items()}


def compare(names: list[str], baseline: str | None, arm: str | None, reports: Path) -> str:
    """Write `compare.html` and `compare.md` into a folder and return a summary for the terminal.

    arm: the one that is compared between revisions; None for the last of `arms` of each. Raises InputError for unknown names,
    for a baseline that is none of the groups, and for an arm that no revision has.
    """
    settings, revisions = read_yaml(FILE), read_revisions(names)
    revisions = with_arm(revisions, arm) if arm else revisions
    found = compared(revisions, baseline, settings["report"], settings["audit"]["budget_gap"])
    facts = {"tolerance": TOLERANCE, "arm": arm} | {name: getattr(found, name) for name in FIELDS}
    for name in ("compare.html", "compare.md"):
        write_text(reports / name, render(f"{name}.j2", facts, FILTERS, TEMPLATES))
    return "\n".join([*summary(found), "", f"full comparison: {reports / 'compare.html'} and compare.md"])


def compared(revisions: list[Revision], baseline: str | None, resampling: Resampling, gap: float) -> Comparison:
    """The comparison of revisions. gap: by what share budgets may differ without a mark."""
    read = [measures_of(revision) for revision in revisions]
    groups = grouped([revision for revision, _ in read], baseline)
    known = {run.name: {m.key: m for m in measures} for run, measures in read}
    first, *others = groups
    runs = [run for group in groups for run in group.runs]
    budgets, every = {group.name: budget(group) for group in groups}, every_measure(known, runs)
    return Comparison(
        groups,
        claims=decided(groups, _notes),
        params=differing([(group.name, run.params) for group in groups for run in group.runs if run.params]),
        budgets=budgets,
        unequal={name: unequal(budgets[first.name], spent, gap) for name, spent in budgets.items()},
        gap=gap,
        rows=[row(m, groups, known, resampling) for m in every],
        contrasts=contrasts(every, groups, known, resampling),
        moved={group.name: moved(first, group, MOST_MOVED) for group in others},
        notes={run.name: notes(run, group, first) for group in groups for run in group.runs},
    )


def _notes(variant: str, runs: dict[str, Revision]) -> list[str]:
    """When gates and bounds of the runs of a variant were fixed, and which of its seeds are not among them, in words."""
    fixed = history(together([tuning_of(run.commit, variant, seed, run.params) for seed, run in runs.items()]))
    bases = must("log", "--no-walk", "--format=%P", *(run.commit for run in runs.values())).split()
    seeds = [int(seed) for seed in runs if seed]
    return [fixed, *(left_out(seeds, built_seeds(variant, bases)) if seeds else [])]


def measures_of(revision: Revision) -> tuple[Revision, list[Measure]]:
    """The revision and its measures. Records of a form that this version cannot read are left out; `lacks` says why."""
    try:
        budget(Group(revision.group, [revision]))
        return revision, measured(revision)
    except (KeyError, TypeError, ValueError) as error:
        lacks = f"its records have another form: {type(error).__name__} {error}"
        return replace(revision, records=None, lacks=lacks), []


# ---- for the terminal


def summary(found: Comparison) -> list[str]:
    """The verdicts, tables of differences, of levels where there are no differences and of contrasts, and notes on runs."""
    first, others = found.first, found.others
    verdicts = [line for name, own in found.claims.items() for line in [*claims_text(name, own), ""]]
    differences = [("", first.name, *(group.name for group in others))]
    for one in found.rows:
        cells = (changed(one.measure, entry) for entry in one.differences.values())
        differences.append((one.measure.title, level_of(one, first), *cells))
    text = aligned(differences)
    if others:
        text += ["", f"differences from {first.name}; {SIGNS}"]
    # Without its records a run has the levels of its metrics.json, and no differences.
    if alone := [group for group in others if not (first.built and group.built) and _has_levels(found, group)]:
        levels = [("", first.name, *(group.name for group in alone))]
        levels += [(one.measure.title, *(level_of(one, group) for group in (first, *alone))) for one in found.rows]
        text += ["", *aligned(levels), "", "levels only: without the records there are no differences"]
    text += contrasts_text(found)
    remarks = [(name, f"trained on another budget: {', '.join(kinds)}") for name, kinds in found.unlike.items() if kinds]
    remarks += [(name, note) for name, notes in found.notes.items() for note in notes]
    return [*verdicts, *text, *([""] if remarks else []), *(f"{name}: {remark}" for name, remark in remarks)]


def claims_text(name: str, found: Decisions) -> list[str]:
    """The verdict on each claim of a group, with a row for each statement, and the notes."""
    rows = [
        (
            *((found.word(ruling), f"{'gate ' if ruling.claim.gate else ''}{ruling.claim.name}") if n == 0 else ("", "")),
            f"{statements.value(own)} {statements.reach(own)}".strip(),
            f"{own.statement.bound.direction} {own.statement.bound.value:g}",
            "" if own.power is None else f"power {own.power:.2f}",
            found.reason(ruling) if n == 0 else "",
        )
        for ruling in found.rulings
        for n, own in enumerate(ruling.statements)
    ]
    return [f"claims of {name}, {counted(len(found.seeds), 'seed')}", *aligned(rows, left=6), *found.notes]


def contrasts_text(found: Comparison) -> list[str]:
    """A table for each contrast: of each group, the level of both arms and their difference."""
    text = []
    for contrast in found.contrasts:
        names = list(dict.fromkeys(name for _, of_groups in contrast.rows for name in of_groups))
        table = [("", *names)]
        for m, of_groups in contrast.rows:
            cells = (
                f"{levels_of(m, own)}  {changed(m, own.difference)}" if (own := of_groups.get(name)) else "–  "
                for name in names
            )
            table.append((m.title, *cells))
        text += ["", f"{contrast.arm} compared with {contrast.against}", *aligned(table)]
    return [*text, "", f"differences between two arms of the same runs; {SIGNS}"] if text else []


def levels_of(m: Measure, sides: Sides) -> str:
    """The levels of a contrast, before and after: 97% → 15%."""
    return " → ".join(wording.level(entry, m.digits, m.share) for entry in (sides.against, sides.arm))


def changed(m: Measure, entry: Estimate) -> str:
    """A difference with an arrow as text, or a dash."""
    return f"{wording.difference(entry, m.digits, m.share)} {arrow(entry)}" if entry else "– "


def _has_levels(found: Comparison, group: Group) -> bool:
    return any(one.levels[group.name] for one in found.rows)


def level_of(one: Row, group: Group) -> str:
    """A group's level of a measure as text, or a dash."""
    entry = one.levels[group.name]
    return wording.level(entry, one.measure.digits, one.measure.share) if entry else "–"


def arrow(entry: Estimate) -> str:
    """The direction of a difference, a space where it is inconclusive."""
    return ARROWS.get(wording.finding(entry), " ")


# ---- filters of the pages


def mean(value: float, m: Measure) -> str:
    """The mean of a run as text."""
    kind = "difference" if m.within else "share" if m.share else "mean"
    return wording.level(cast(Estimate, {kind: value, "n": 1}), m.digits, m.share)


FILTERS = (*wording.FILTERS, *statements.FILTERS, drawn.place, forest.number, mean)
