"""Under what conditions groups of runs were made: params, budgets, and whether they were measured alike. Pure."""

from collections.abc import Iterable
from statistics import fmean

from cantica.commands.comparison.revisions import Group, Revision
from cantica.commands.dvc.records import inputs
from cantica.commands.explain import flow
from cantica.settings.tree import path_to

ABSENT = "–"
NAMED = ("categories", "curriculum", "judges", "mixes")  # sections of params whose keys are names


def differing(params: list[tuple[str, dict]]) -> dict[str, dict[str, str]]:
    """{key: {group: its values}} of the params that are not alike in all runs. params: (group, params of a run) of each run."""
    flat = [(group, dict(_leaves(values))) for group, values in params]
    keys = dict.fromkeys(key for _, leaves in flat for key in leaves)
    found: dict[str, dict[str, str]] = {}
    for key in keys:
        values = [(group, flow(leaves[key]).replace("\xa0", " ") if key in leaves else ABSENT) for group, leaves in flat]
        if len({value for _, value in values}) > 1:
            groups = dict.fromkeys(group for group, _ in values)
            found[key] = {group: ", ".join(dict.fromkeys(v for g, v in values if g == group)) for group in groups}
    return found


def _leaves(values, key: str = ""):
    """(key, value) of each param; a named thing, such as a step, is one."""
    section, _, name = key.partition(".")
    if not isinstance(values, dict) or not values or (name and section in NAMED):
        yield key, values
        return
    for child, value in values.items():
        yield from _leaves(value, f"{key}.{child}" if key else child)


def budget(group: Group) -> dict:
    """What the steps on the way to a group's last arm were given, on the mean of its runs; {} where nothing is known.

    tokens: all that were read, and with `loss tokens` those that carried the loss.
    """
    runs = [(run, path_to(run.params["arms"][run.arm], run.params["curriculum"])) for run in group.runs if run.params]
    if not runs:
        return {}
    spent = {"path": runs[0][1], "steps": fmean(len(path) for _, path in runs)}
    trained = [[run.records["training"][step] for step in path] for run, path in runs if run.records]
    if trained:
        spent |= {
            "iterations": fmean(sum(step["iterations"] for step in steps) for steps in trained),
            "examples": fmean(sum(step["epochs"] * step["examples"] for step in steps) for steps in trained),
            "tokens": fmean(sum(step["epochs"] * step["tokens"] for step in steps) for steps in trained),
            "loss tokens": fmean(sum(step["curve"][-1]["trained_tokens"] for step in steps) for steps in trained),
        }
    return spent


def unequal(first: dict, second: dict, gap: float) -> list[str]:
    """The kinds of budget in which two groups differ by more than a share of the greater."""
    kinds = [kind for kind in first if kind in second and isinstance(first[kind], float)]
    return [kind for kind in kinds if abs(first[kind] - second[kind]) > gap * max(first[kind], second[kind])]


def notes(run: Revision, group: Group, first: Group) -> list[str]:
    """What a reader must know of a run: what is missing or stale, and in what it is unlike its group or the baseline."""
    found = [run.lacks] if run.lacks else []
    if left := list(run.params.get("arms", {}))[1:-1]:
        found.append(f"arms left out: {_few(left)}")
    beside = [(other.name, other.params) for other in (group.runs[0], run) if other.params]
    if unlike := [key for key in differing(beside) if key.split(".")[-1] != "seed"]:
        found.append(f"of its group, but not only the seed differs from {group.runs[0].name}: {_few(unlike)}")
    if run.edited:
        found.append(f"edited since it was built: {_few(run.edited)}")
    if run.records and first.built and (other := measured_otherwise(run, next(iter(first.built.values())))):
        found += [f"not measured as {first.name}: {stage} ({_few(keys)})" for stage, keys in other.items()]
    return found


def _few(names: Iterable[str], most: int = 4) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def measured_otherwise(run: Revision, first: Revision) -> dict[str, list[str]]:
    """{stage: inputs} by which the last arms of two runs were not measured alike, the arms themselves left out."""
    one, other = measured_with(run), measured_with(first)
    found: dict[str, list[str]] = {}
    for stage, key in sorted({**one, **other}):
        if stage in {s for s, _ in one} & {s for s, _ in other} and one.get((stage, key)) != other.get((stage, key)):
            found.setdefault(stage, []).append(key)
    return found


def measured_with(run: Revision) -> dict[tuple[str, str], object]:
    """{(stage, input): hash or value} of what measured a run's last arm, the arm itself left out."""
    point, found = run.params["arms"][run.arm], {}
    for name, entry in run.lock.items():
        stage, _, key = name.partition("@")
        if (stage, key) == ("measure", point) or (key == run.arm and stage != "train"):
            for (kind, what), value in inputs(entry).items():
                about = what.startswith(("models/adapters/", "data/responses/")) or what.split(".")[-1] == "seed"
                if kind != "commands" and not about:
                    found[stage, what] = value
    return found
