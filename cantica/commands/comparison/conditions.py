"""The conditions under which groups of runs were made: params, training budgets, and what measured them. Pure."""

from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from cantica.commands.comparison.revisions import Group, Revision
from cantica.commands.dvc.changes import inputs
from cantica.commands.text import few, flow
from cantica.reporting.nested import flatten
from cantica.settings.tree import path_to

ABSENT = "–"
NAMED = ("categories", "curriculum", "judges", "mixes")  # sections of params whose keys are names
SHOWN = 4  # names in a note


def differing(params: list[tuple[str, dict]]) -> dict[str, dict[str, str]]:
    """{key: {group: its values}} of the params that differ between runs. params: (group, params) of each run."""
    flat = [(group, flatten(values, is_leaf=_is_named)) for group, values in params]
    keys = dict.fromkeys(key for _, leaves in flat for key in leaves)
    found: dict[str, dict[str, str]] = {}
    for key in keys:
        values = [(group, flow(leaves[key]).replace("\xa0", " ") if key in leaves else ABSENT) for group, leaves in flat]
        if len({value for _, value in values}) > 1:
            groups = dict.fromkeys(group for group, _ in values)
            found[key] = {group: ", ".join(dict.fromkeys(v for g, v in values if g == group)) for group in groups}
    return found


def _is_named(key: str) -> bool:
    """Whether a key of params names a thing, such as a step, that is shown as a whole."""
    section, _, name = key.partition(".")
    return bool(name) and section in NAMED


@dataclass(frozen=True)
class Budget:
    """What the steps on the way to a group's last arm were trained on.

    path: these steps, of the group's first run. spent: by kind, means over the runs: "steps"; and with records "iterations",
    "examples", "tokens" (all that were read) and "loss tokens" (those that carried the loss).
    """

    path: list[str] = field(default_factory=list)
    spent: dict[str, float] = field(default_factory=dict)


def budget(group: Group) -> Budget:
    """The budget of a group; empty where nothing is known."""
    runs = [(run, path_to(run.params["arms"][run.arm], run.params["curriculum"])) for run in group.runs if run.params]
    if not runs:
        return Budget()
    spent = {"steps": fmean(len(path) for _, path in runs)}
    trained = [[run.records["training"][step] for step in path] for run, path in runs if run.records]
    if trained:
        spent |= {
            "iterations": fmean(sum(step["iterations"] for step in steps) for steps in trained),
            "examples": fmean(sum(step["epochs"] * step["examples"] for step in steps) for steps in trained),
            "tokens": fmean(sum(step["epochs"] * step["tokens"] for step in steps) for steps in trained),
            "loss tokens": fmean(sum(step["curve"][-1]["trained_tokens"] for step in steps) for steps in trained),
        }
    return Budget(runs[0][1], spent)


def unequal(first: Budget, second: Budget, gap: float) -> list[str]:
    """The kinds of budget in which two groups differ by more than a share of the greater one."""
    pairs = [(kind, value, second.spent[kind]) for kind, value in first.spent.items() if kind in second.spent]
    return [kind for kind, one, other in pairs if abs(one - other) > gap * max(one, other)]


def notes(run: Revision, group: Group, first: Group) -> list[str]:
    """Warnings for readers of a run: what is missing or stale, and how it differs from its group or from the baseline."""
    found = [run.lacks] if run.lacks else []
    if left := list(run.params.get("arms", {}))[1:-1]:
        found.append(f"arms that are not compared: {few(left, SHOWN)}")
    pair = [(other.name, other.params) for other in (group.runs[0], run) if other.params]
    if unlike := [key for key in differing(pair) if key.split(".")[-1] != "seed"]:
        found.append(f"same group as {group.runs[0].name}, but more than the seed differs: {few(unlike, SHOWN)}")
    if run.edited:
        found.append(f"edited since it was built: {few(list(run.edited), SHOWN)}")
    if run.records and first.built and (other := measured_otherwise(run, next(iter(first.built.values())))):
        found += [f"not measured as {first.name}: {stage} ({few(keys, SHOWN)})" for stage, keys in other.items()]
    return found


def measured_otherwise(run: Revision, first: Revision) -> dict[str, list[str]]:
    """{stage: inputs} in which the measurements of two runs' last arms differ. The arms themselves are left out."""
    one, other = measured_with(run), measured_with(first)
    shared = {stage for stage, _ in one} & {stage for stage, _ in other}
    found: dict[str, list[str]] = {}
    for stage, key in sorted({**one, **other}):
        if stage in shared and one.get((stage, key)) != other.get((stage, key)):
            found.setdefault(stage, []).append(key)
    return found


def measured_with(run: Revision) -> dict[tuple[str, str], Any]:
    """{(stage, input): hash or value} of the stages that measured a run's last arm, without the arm itself."""
    point, found = run.params["arms"][run.arm], {}
    for name, entry in run.lock.items():
        stage, _, key = name.partition("@")
        if (stage, key) == ("measure", point) or (key == run.arm and stage != "train"):
            for (kind, path), value in inputs(entry).items():
                of_arm = path.startswith(("models/adapters/", "data/responses/")) or path.split(".")[-1] == "seed"
                if kind != "commands" and not of_arm:
                    found[stage, path] = value
    return found
