"""Check the tree: names of points and files, cycles, shapes of adapters, and settings of steps that exclude each other."""

import graphlib
from typing import Any

from cantica.core.errors import Problem, did_you_mean
from cantica.settings.tree import ROOT, adapter_shape, files_of, kept_iterations, step_of

SAMPLES = ("samples", "server_samples")
# {folder of a data file: (the sections of params that name its files, what they are)}
FOLDERS = {"train": (("categories",), "a category"), "mixes": (("mixes",), "a mix"), "samples": (SAMPLES, "a sample")}


def tree_faults(params: dict[str, Any], file: str) -> list[Problem]:
    """Return a Problem for each unknown point or file, each cycle, and each impossible setting of a step.

    params must be valid under its schema.
    """
    names = _name_faults(params, file)
    cycles_found = [_cycle_fault(cycle, params, file) for cycle in cycles(parents(params))]
    if names or cycles_found:
        return names + cycles_found
    return _checkpoint_faults(params, file) + _empty_faults(params, file) + _step_faults(params, file)


# ---- names


def _name_faults(params: dict[str, Any], file: str) -> list[Problem]:
    points, problems = [ROOT, *params["curriculum"]], []

    def check_name(place: str, name: str, names: list[str], kind: str) -> None:
        if name not in names:
            expected = f"{kind}: {', '.join(names) or 'there is none'}"
            problems.append(Problem(file, place, repr(name), expected, did_you_mean(name, names)))

    for place, data in _files(params).items():
        folder, name = data.split("/")
        sections, kind = FOLDERS[folder]
        check_name(place, name, [known for section in sections for known in params[section]], f"{folder}/ and {kind}")
    for step, settings in params["curriculum"].items():
        check_name(f"curriculum.{step}.after", settings["after"], points, "base or a step")
    for place, point in _points(params).items():
        check_name(place, step_of(point), points, "base or a step")
    for mix, weights in params["mixes"].items():
        for category in weights:
            check_name(f"mixes.{mix}", category, list(params["categories"]), "a category")
    for point in params["measure"]["in_full"]:
        check_name("measure.in_full", point, points, "base or a step")
    check_name("fuse.step", params["fuse"]["step"], points, "base or a step")
    return problems


def _files(params: dict[str, Any]) -> dict[str, str]:
    """Return {place in params: data file} for each file that a step trains on or whose prompts a sample answers."""
    steps = {f"curriculum.{step}.data": settings["data"] for step, settings in params["curriculum"].items()}
    return steps | {f"{s}.{name}.prompts": own["prompts"] for s in SAMPLES for name, own in params[s].items()}


def _points(params: dict[str, Any]) -> dict[str, str]:
    """Return {place in params: point or checkpoint} for each point that an arm or a sample names."""
    authors = {f"samples.{name}.from": own["from"] for name, own in params["samples"].items()}
    return authors | {f"arms.{arm}.point": own["point"] for arm, own in params["arms"].items()}


# ---- cycles


def parents(params: dict[str, Any]) -> dict[str, list[str]]:
    """Return {step or `samples/<name>`: the steps and samples that it is made from}, in the order of params."""
    found: dict[str, list[str]] = {}
    for step, settings in params["curriculum"].items():
        found[step] = [settings["after"], settings["data"]]
    for section in SAMPLES:
        for name, own in params[section].items():
            found[f"samples/{name}"] = [own["prompts"], *([step_of(own["from"])] if "from" in own else [])]
    return {node: [parent for parent in own if parent in found] for node, own in found.items()}


def cycles(parents: dict[str, list[str]]) -> list[list[str]]:
    """Return cycles without a common node, one in each part of the graph that has some.

    Each is in the order in which its nodes would be made, and begins with the node that comes first in `parents`.
    """
    left, found = dict(parents), list[list[str]]()
    while True:
        try:
            graphlib.TopologicalSorter({node: [p for p in own if p in left] for node, own in left.items()}).prepare()
            return found
        except graphlib.CycleError as error:
            cycle = error.args[1][:-1]
            first = cycle.index(min(cycle, key=list(parents).index))
            found.append(cycle[first:] + cycle[:first])
            left = {node: own for node, own in left.items() if node not in cycle}


def _cycle_fault(cycle: list[str], params: dict[str, Any], file: str) -> Problem:
    got = f"a cycle: {' → '.join([*cycle, cycle[0]])}"
    samples = any("/" in node for node in cycle)
    hint = "let the sample come from an earlier point" if samples else "set `after: base` for the step that comes first"
    folder, _, name = cycle[0].rpartition("/")
    section = "curriculum" if not folder else next(section for section in SAMPLES if name in params[section])
    place = f"{section}.{name}" if samples else f"curriculum.{name}.after"
    return Problem(file, place, got, f"a tree that starts from {ROOT}", hint)


# ---- steps


def _checkpoint_faults(params: dict[str, Any], file: str) -> list[Problem]:
    """Return a Problem for each checkpoint that is named but not kept, or that would come after the last iteration."""
    problems = []
    for place, point in _points(params).items():
        step, _, iteration = point.partition("/")
        kept = [] if step == ROOT else kept_iterations(params, step)
        if iteration and int(iteration) not in kept:
            known = ", ".join(f"{step}/{number:07d}" for number in kept) or "none"
            hint = f"list it in curriculum.{step}.checkpoints" if step != ROOT else ""
            last = step != ROOT and int(iteration) == (params["train"] | params["curriculum"][step])["iters"]
            hint = f"its last iteration is the step itself: {step}" if last else hint
            problems.append(Problem(file, place, repr(point), f"a checkpoint that {step} keeps: {known}", hint))
    for step, own in params["curriculum"].items():
        settings = params["train"] | own
        listed = settings["checkpoints"] if isinstance(settings["checkpoints"], list) else []
        late = [iteration for iteration in listed if iteration > settings["iters"] > 0]
        if late:
            place = f"curriculum.{step}.checkpoints" if "checkpoints" in own else "train.checkpoints"
            got, expected = ", ".join(map(str, late)), f"at most iters of {step}, {settings['iters']}"
            problems.append(Problem(file, place, got, expected))
    return problems


def _empty_faults(params: dict[str, Any], file: str) -> list[Problem]:
    """Return a Problem for each step or sample that has no examples to read."""
    empty = {f"train/{name}" for name, settings in params["categories"].items() if settings["train"] == 0}
    return [
        Problem(file, place, data, "a file with examples", "raise `train` of its categories")
        for place, data in _files(params).items()
        if set(files_of(data, params["mixes"])) <= empty
    ]


def _step_faults(params: dict[str, Any], file: str) -> list[Problem]:
    """Return a Problem for each step with a shape that it cannot have, too long a warm-up or too many processes."""
    problems: list[Problem] = []
    for step, own in params["curriculum"].items():
        place, settings = f"curriculum.{step}", params["train"] | own
        shape = adapter_shape(params, step)
        if own["after"] != ROOT and own.get("adapter", "continue") == "continue":
            other = {key: own[key] for key in shape if own.get(key, shape[key]) != shape[key]}
            if other:
                got = ", ".join(f"{key} {value}" for key, value in other.items())
                expected = ", ".join(f"{key} {shape[key]}" for key in other)
                expected += f", as in {own['after']}, whose adapter it continues"
                problems.append(Problem(file, place, got, expected, "or set `adapter: fresh`"))
        iters, warmup, batch_size, launch = (settings[key] for key in ("iters", "warmup", "batch_size", "launch"))
        if iters and warmup >= iters:
            problems.append(Problem(file, place, f"warmup {warmup}", f"less than iters, {iters}"))
        if launch and launch["processes"] > batch_size:
            expected = f"at most {batch_size}, the batch_size: each process takes a part of the batch"
            problems.append(Problem(file, place, f"{launch['processes']} processes", expected))
    return problems
