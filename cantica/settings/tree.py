"""The curriculum as a tree of steps that starts from `base`. Each node, `base` or a step, is a point.

Where a point is named, a kept checkpoint of a step can be named too: `<step>/<iteration in seven digits>`.
"""

from typing import Any

ROOT = "base"

Curriculum = dict[str, dict[str, Any]]


def step_of(point: str) -> str:
    """Return the step of a point or checkpoint; `base` for base."""
    return point.partition("/")[0]


def iteration_of(point: str) -> int | None:
    """Return the iteration of a checkpoint; None for base and a step."""
    _, found, iteration = point.partition("/")
    return int(iteration) if found else None


def path_to(point: str, curriculum: Curriculum) -> list[str]:
    """Return the steps that lead from base to a point or checkpoint, with its own step last."""
    step, steps = step_of(point), []
    while step in curriculum:
        steps.append(step)
        step = curriculum[step]["after"]
    return steps[::-1]


def branches(curriculum: Curriculum) -> dict[str, list[str]]:
    """Return {last step of a branch: all its steps}.

    If several steps follow the same step, the first of them continues its branch, and each of the others begins a new one.
    """
    found: dict[str, list[str]] = {}
    following = {point: [step for step, settings in curriculum.items() if settings["after"] == point] for point in curriculum}
    first_steps = [step for step, settings in curriculum.items() if step not in following.get(settings["after"], [])[:1]]
    for step in first_steps:
        steps = [step]
        while next_steps := following[steps[-1]]:
            steps.append(next_steps[0])
        found[steps[-1]] = steps
    return found


def files_on_paths(params: dict[str, Any]) -> list[set[str]]:
    """Return, for each path from base to a leaf of the tree, the files that its steps train on.

    A file is `train/<category>` or `samples/<name>`; a mix stands for the files of its categories.
    """
    curriculum = params["curriculum"]
    leaves = curriculum.keys() - {settings["after"] for settings in curriculum.values()}
    paths = [path_to(leaf, curriculum) for leaf in curriculum if leaf in leaves]
    return [{file for step in path for file in files_of(curriculum[step]["data"], params["mixes"])} for path in paths]


def files_of(data: str, mixes: dict[str, dict[str, float]]) -> list[str]:
    """Return the files that a step's `data` consists of: itself, or `train/<category>` for each category of a mix."""
    folder, _, name = data.partition("/")
    return [f"train/{category}" for category in mixes[name]] if folder == "mixes" else [data]


def kept_iterations(params: dict[str, Any], step: str) -> list[int]:
    """Return the iterations after which a step keeps a checkpoint, in order. The last iteration is the step itself."""
    settings = params["train"] | params["curriculum"][step]
    every, iters = settings["checkpoints"], settings["iters"]
    wanted = every if isinstance(every, list) else range(every, iters, every) if every else []
    return sorted(iteration for iteration in wanted if iteration < iters)


def adapter_shape(params: dict[str, Any], step: str) -> dict[str, Any]:
    """Return {"layers", "rank", "scale"} of the adapter after a step, as `training` makes it.

    After base, and for a new adapter, a step has the shape of `lora` with its own settings. A new adapter on top of another
    one adds to its rank. A step that continues an adapter has its shape.
    """
    settings = params["curriculum"][step]
    own = {key: settings.get(key, params["lora"][key]) for key in ("layers", "rank", "scale")}
    if settings["after"] == ROOT:
        return own
    below = adapter_shape(params, settings["after"])
    if settings.get("adapter", "continue") == "continue":
        return below
    every = -1 in (own["layers"], below["layers"])
    return own | {"layers": -1 if every else max(own["layers"], below["layers"]), "rank": own["rank"] + below["rank"]}
