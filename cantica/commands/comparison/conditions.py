"""The conditions under which groups of runs were made: params, training budgets, and what measured them. Pure."""

import re
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from cantica.commands.comparison.revisions import Group, Revision
from cantica.commands.dvc.changes import inputs
from cantica.commands.text import few, flow
from cantica.reporting.nested import flatten
from cantica.settings.arms import all_arms, with_losses
from cantica.settings.tree import iteration_of, path_to

ABSENT = "–"
# Sections of params whose keys are names.
NAMED = ("answers", "arms", "categories", "curriculum", "judges", "mixes", "samples", "server_samples", "servers")
# {stage that measures an arm and is named after it: the name under which readers know it}
OF_ARM = {stage: stage for stage in ("respond", "respond_server", "judge", "probe", "capability")}
OF_ARM |= {"judge_server": "judge", "judge_answers": "judge"}
OF_POINT = {"measure": "measure", "measure_base": "measure"}
# Inputs of these stages that are the arm itself.
ITSELF = re.compile(r"(models/adapters|data/responses)/|arms\.|servers\.\w+\.(base_url|model|system)$|.*\.seed$")
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
    """What the steps on the way to a group's arm were trained on; empty for an arm that is no point of the tree.

    path: these steps, of the group's first run. spent: by kind, means over the runs: "steps"; and with records "iterations",
    "examples", "tokens" (all that were read) and "loss tokens" (those that carried the loss). Where the arm is a checkpoint,
    its share of the last step counts.
    """

    path: list[str] = field(default_factory=list)
    spent: dict[str, float] = field(default_factory=dict)


def budget(group: Group) -> Budget:
    """The budget of a group; empty where nothing is known."""
    runs = [(run, run.params["arms"][run.arm]["point"]) for run in group.runs if run.params and run.arm in run.params["arms"]]
    if not runs:
        return Budget()
    paths = [path_to(point, run.params["curriculum"]) for run, point in runs]
    trained = [_trained(run, point) for run, point in runs if run.records]
    kinds = trained[0] if trained else {}
    spent = {kind: fmean(own[kind] for own in trained) for kind in kinds}
    return Budget(paths[0], {"steps": fmean(map(len, paths))} | spent)


def _trained(run: Revision, point: str) -> dict[str, float]:
    """What the steps to a point were trained on, by kind."""
    assert run.records
    steps, iteration = [run.records["training"][step] for step in path_to(point, run.params["curriculum"])], iteration_of(point)
    shares = [1.0] * len(steps)
    if iteration is not None:
        shares[-1] = iteration / steps[-1]["iterations"]
    parts = list(zip(steps, shares, strict=True))
    return {
        "iterations": sum(share * step["iterations"] for step, share in parts),
        "examples": sum(share * step["epochs"] * step["examples"] for step, share in parts),
        "tokens": sum(share * step["epochs"] * step["tokens"] for step, share in parts),
        "loss tokens": sum(share * step["curve"][-1]["trained_tokens"] for step, share in parts if step["curve"]),
    }


def unequal(first: Budget, second: Budget, gap: float) -> list[str]:
    """The kinds of budget in which two groups differ by more than a share of the greater one."""
    pairs = [(kind, value, second.spent[kind]) for kind, value in first.spent.items() if kind in second.spent]
    return [kind for kind, one, other in pairs if abs(one - other) > gap * max(one, other)]


def notes(run: Revision, group: Group, first: Group) -> list[str]:
    """Warnings for readers of a run: what is missing or stale, and how it differs from its group or from the baseline."""
    found = [run.lacks] if run.lacks else []
    if run.params and (left := [arm for arm in all_arms(run.params) if arm not in _shown(run)]):
        found.append(f"arms that are not compared: {few(left, SHOWN)}")
    pair = [(other.name, other.params) for other in (group.runs[0], run) if other.params]
    if unlike := [key for key in differing(pair) if key.split(".")[-1] != "seed"]:
        found.append(f"same group as {group.runs[0].name}, but more than the seed differs: {few(unlike, SHOWN)}")
    if run.edited:
        found.append(f"edited since it was built: {few(list(run.edited), SHOWN)}")
    if run.records and first.built and (other := measured_otherwise(run, next(iter(first.built.values())))):
        found += [f"not measured as {first.name}: {stage} ({few(keys, SHOWN)})" for stage, keys in other.items()]
    return found


def _shown(run: Revision) -> set[str]:
    """The arms of a run that the pages show: the compared one, the context, and those of its contrasts."""
    return {run.arm, run.context, *(arm for pair in run.params["contrasts"] for arm in pair)}


def measured_otherwise(run: Revision, first: Revision) -> dict[str, list[str]]:
    """{stage: inputs} in which the measurements of two runs' arms differ. The arms themselves are left out."""
    one, other = measured_with(run), measured_with(first)
    shared = {stage for stage, _ in one} & {stage for stage, _ in other}
    found: dict[str, list[str]] = {}
    for stage, key in sorted({**one, **other}):
        if stage in shared and one.get((stage, key)) != other.get((stage, key)):
            found.setdefault(stage, []).append(key)
    return found


def measured_with(run: Revision) -> dict[tuple[str, str], Any]:
    """{(stage, input): hash or value} of the stages that measured a run's arm, without the arm itself."""
    point, found = with_losses(run.params).get(run.arm), {}
    for name, entry in run.lock.items():
        stage, _, key = name.partition("@")
        shown = OF_ARM.get(stage, "") if key == run.arm else ""
        shown = shown or (OF_POINT.get(stage, "") if key == point else "")
        for (kind, path), value in inputs(entry).items() if shown else ():
            if kind != "commands" and not ITSELF.match(path):
                found[shown, path] = value
    return found
