"""The curriculum as a tree of steps that starts from `base`. Each node, `base` or a step, is a point."""

from cantica.core.errors import Problem, did_you_mean

ROOT = "base"


def tree_faults(params: dict, file: str) -> list[Problem]:
    """Return a Problem for each unknown step, mix or category, each cycle of steps, and each impossible setting of a step.

    params must be valid under its schema.
    """
    curriculum = params["curriculum"]
    problems: list[Problem] = []
    points = [ROOT, *curriculum]

    def check_name(place: str, name: str, names: list[str], kind: str) -> None:
        if name not in names:
            problems.append(Problem(file, place, repr(name), f"{kind}: {', '.join(names)}", did_you_mean(name, names)))

    for step, settings in curriculum.items():
        check_name(f"curriculum.{step}.after", settings["after"], points, "base or a step")
        folder, name = settings["data"].split("/")
        section, kind = ("categories", "a category") if folder == "train" else ("mixes", "a mix")
        check_name(f"curriculum.{step}.data", name, list(params[section]), f"{folder}/ and {kind}")
    for mix, weights in params["mixes"].items():
        for category in weights:
            check_name(f"mixes.{mix}", category, list(params["categories"]), "a category")
    for arm, point in params["arms"].items():
        check_name(f"arms.{arm}", point, points, "base or a step")
    check_name("fuse.step", params["fuse"]["step"], points, "base or a step")
    problems += [_cycle_fault(cycle, file) for cycle in cycles(curriculum)]
    return problems or _step_faults(params, file)


def path_to(point: str, curriculum: dict[str, dict]) -> list[str]:
    """Return the steps that lead from base to a point of the tree, with the point itself last."""
    steps = []
    while point in curriculum:
        steps.append(point)
        point = curriculum[point]["after"]
    return steps[::-1]


def branches(curriculum: dict[str, dict]) -> dict[str, list[str]]:
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


def cycles(curriculum: dict) -> list[list[str]]:
    """Return each cycle of `after` once: its steps in training order, beginning with the one that params list first."""
    found: list[list[str]] = []
    done: set[str] = set()
    for start in curriculum:
        path: list[str] = []
        point = start
        while point in curriculum and point not in done and point not in path:
            path.append(point)
            point = curriculum[point]["after"]
        if point in path:
            cycle = path[path.index(point) :][::-1]
            first = cycle.index(min(cycle, key=list(curriculum).index))
            found.append(cycle[first:] + cycle[:first])
        done.update(path)
    return found


def _cycle_fault(cycle: list[str], file: str) -> Problem:
    got = f"a cycle: {' → '.join([*cycle, cycle[0]])}"
    hint = "set `after: base` for the step that comes first"
    return Problem(file, f"curriculum.{cycle[0]}.after", got, f"a tree that starts from {ROOT}", hint)


def _step_faults(params: dict, file: str) -> list[Problem]:
    """Return a Problem for each step that changes the adapter's shape, or has too long a warm-up or too many processes.

    A step continues the tensors of the previous step, so only a step right after base may choose their shape.
    """
    curriculum = params["curriculum"]
    problems: list[Problem] = []

    def shape(step: str) -> dict:
        return {key: curriculum[step].get(key, params["lora"][key]) for key in ("layers", "rank", "scale")}

    for step, settings in curriculum.items():
        after = settings["after"]
        if after != ROOT and shape(step) != shape(after):
            got = ", ".join(f"{key} {value}" for key, value in shape(step).items() if value != shape(after)[key])
            expected = ", ".join(f"{key} {shape(after)[key]}" for key in shape(step) if shape(step)[key] != shape(after)[key])
            problems.append(Problem(file, f"curriculum.{step}", got, f"{expected}, as in {after}, whose adapter it continues"))
        iters, warmup = (settings.get(key, params["train"][key]) for key in ("iters", "warmup"))
        if warmup >= iters:
            problems.append(Problem(file, f"curriculum.{step}", f"warmup {warmup}", f"less than iters, {iters}"))
        batch_size, launch = (settings.get(key, params["train"][key]) for key in ("batch_size", "launch"))
        if launch and launch["processes"] > batch_size:
            got = f"{launch['processes']} processes"
            problems.append(
                Problem(
                    file,
                    f"curriculum.{step}",
                    got,
                    f"at most {batch_size}, the batch_size: each process takes a part of the batch",
                )
            )
    return problems
