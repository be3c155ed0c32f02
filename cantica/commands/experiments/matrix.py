"""Validation losses by category: of every arm, and after each step on the way to it. Pure.

The loss of an arm is over all examples that it is measured on. Losses after steps are over those that every point is measured
on, and are shown as differences from the base model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from cantica.commands.experiments.cited import Cited
from cantica.commands.experiments.numbers import at
from cantica.core.errors import Problem
from cantica.reporting.losses import backward_transfer, forgetting
from cantica.reporting.wording import fixed
from cantica.settings.arms import with_losses
from cantica.settings.tree import ROOT, path_to

DIGITS = 3
TOLERANCE = 2e-4  # of a difference between two numbers with four decimals, which has four itself
WHOLE = ""  # the column of all categories together


@dataclass(frozen=True)
class Matrix:
    """The losses on the way to an arm, in nats per token.

    changes: {step: {category: its loss after the step minus that of the base model}}, means over seeds, in the order of
    training; WHOLE is the mean over the examples of all categories. own: {step: the categories that it trains on}.
    """

    changes: dict[str, dict[str, float]]
    own: dict[str, set[str]]

    @property
    def since(self) -> dict[str, float]:
        """How much the loss of each category rose after its own step, and their mean; not of those of the last step."""
        *before, last = self.changes
        learnt = {category: step for step in reversed(before) for category in self.own[step]}
        found = {category: self.changes[last][category] - self.changes[step][category] for category, step in learnt.items()}
        return found | ({WHOLE: fmean(found.values())} if found else {})


def matrices(runs: list[Cited]) -> dict[str, Matrix]:
    """{arm: its matrix} of the arms that have been trained, if one of them has several steps; else {}."""
    params = runs[0].params
    found = {}
    for arm, point in with_losses(params).items():
        steps = path_to(point, params["curriculum"])
        tables = [_table(run, arm, [ROOT, *steps]) for run in runs]
        if steps and all(tables):
            changes = {step: {c: fmean(t[step][c] - t[ROOT][c] for t in tables) for c in tables[0][step]} for step in steps}
            found[arm] = Matrix(changes, {step: trained_on(step, params, [*changes[step]]) for step in steps})
    return found if any(len(own.changes) > 1 for own in found.values()) else {}


def _table(run: Cited, arm: str, points: Sequence[str]) -> dict[str, dict[str, float]]:
    """{point: {category: loss}} of a run, in the order of params; {} if the run has no losses after steps."""
    rows = {point: at(run.details, f"{arm}.steps.{point}.loss_nats") for point in points}
    if not all(rows.values()):
        return {}
    return {
        point: {c: row[c]["mean"] for c in run.params["categories"] if c in row} | {WHOLE: row["mean"]}
        for point, row in rows.items()
        if row
    }


def trained_on(step: str, params: dict[str, Any], shown: Sequence[str]) -> set[str]:
    """Those of the shown categories that a step trains on: in a mix, those with the largest weight.

    A category with the source of another stands for it, as one with shuffled answers does. A step on all of them is on none.
    """
    folder, name = params["curriculum"][step]["data"].split("/")
    weights = {"train": {name: 1}, "mixes": params["mixes"].get(name, {})}.get(folder, {})
    categories = params["categories"]
    sources = {categories[c]["source"] for c, weight in weights.items() if weight == max(weights.values())}
    own = {c for c in shown if c in categories and categories[c]["source"] in sources}
    return own if len(own) < len([c for c in shown if c in categories]) else set()


# ---- tables


def losses_table(runs: list[Cited], arms: Sequence[str]) -> list[list[str]]:
    """The loss of each category in each arm, means over seeds. An arm with fewer examples than others says how many."""
    losses = {arm: [at(run.details, f"{arm}.loss_nats") or {} for run in runs] for arm in arms}
    names = [c for c in runs[0].params["categories"] if all(c in row for rows in losses.values() for row in rows)]
    table = [["category", "examples", *arms]]
    for name in [*names, WHOLE]:
        cells = {arm: [row[name] if name else row for row in rows] for arm, rows in losses.items()}
        most = max(found[0]["n"] for found in cells.values())
        texts = [
            fixed(fmean(one["mean"] for one in found), DIGITS) + (f" of {n}" if (n := found[0]["n"]) < most else "")
            for found in cells.values()
        ]
        table.append([title(name), str(most), *texts])
    return table


def change_table(matrix: Matrix) -> list[list[str]]:
    """The changes from the base model, a row for each step, with those of its own categories in bold; last, `since`."""
    columns = [*next(iter(matrix.changes.values()))]
    table = [["after", *map(title, columns)]]
    for step, row in matrix.changes.items():
        texts = {name: fixed(value, DIGITS, "+") for name, value in row.items()}
        table.append([title(step), *(f"**{text}**" if name in matrix.own[step] else text for name, text in texts.items())])
    if matrix.since:
        texts = {name: fixed(value, DIGITS, "+") for name, value in matrix.since.items()}
        table.append(["*since its own step*", *(texts.get(name, "–") for name in columns)])
    return table


def title(name: str) -> str:
    """The name of a step or category in words, which wrap in a narrow column."""
    return name.replace("_", " ") or "all"


def facts(runs: list[Cited]) -> dict[str, Any]:
    """What the page shows: {} if there is no matrix."""
    found = matrices(runs)
    if not found:
        return {}
    params = runs[0].params
    tables = {arm: change_table(own) for arm, own in found.items()}
    return {"losses": losses_table(runs, [*with_losses(params)]), "arms": tables, "examples": params["measure"]["examples"]}


# ---- checks


def matrix_faults(run: Cited) -> list[Problem]:
    """A Problem for each number of forgetting and backward transfer that does not follow from the losses after steps."""
    file = str(run.folder / "details.json")
    return [
        Problem(file, place, f"{got}", f"{expected:.4f}, which follows from {place.partition('.')[0]}.steps")
        for place, got, expected in _compared(run)
        if got is None or abs(got - expected) > TOLERANCE
    ]


def _compared(run: Cited) -> Iterator[tuple[str, float | None, float]]:
    """(place, the number there, the number that follows from the losses after steps)."""
    curriculum = run.params["curriculum"]
    for arm, point in with_losses(run.params).items():
        steps = path_to(point, curriculum)
        table = _table(run, arm, steps)
        if not table:
            continue
        trained = [curriculum[step]["data"] for step in steps]
        learnt = {c: trained.index(f"train/{c}") for c in run.params["categories"] if f"train/{c}" in trained}
        learnt = {c: own for c, own in learnt.items() if c in table[steps[0]]}
        for name, measure in (("forgetting_nats", forgetting), ("backward_transfer_nats", backward_transfer)):
            for category, expected in measure([*table.values()], learnt).items():
                place = f"{arm}.{name}.{category}"
                yield place, (at(run.details, place) or {}).get("mean"), expected
