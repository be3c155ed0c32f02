"""The curriculum as a tree: faults that a schema cannot see."""

from cantica.core.errors import Problem, did_you_mean

ROOT = "base"


def tree_faults(params: dict, file: str) -> list[Problem]:
    """What is wrong with `curriculum`, and with what names a step or a category elsewhere in params that fit the schema."""
    curriculum, problems = params["curriculum"], []
    points = [ROOT, *curriculum]

    def known(place: str, name: str, names: list[str], what: str) -> None:
        if name not in names:
            problems.append(Problem(file, place, repr(name), f"{what}: {', '.join(names)}", did_you_mean(name, names)))

    for step, settings in curriculum.items():
        known(f"curriculum.{step}.after", settings["after"], points, "base or a step")
        folder, name = settings["data"].split("/")
        names, what = ("categories", "a category") if folder == "train" else ("mixes", "a mix")
        known(f"curriculum.{step}.data", name, list(params[names]), f"{folder}/ and {what}")
    for mix, weights in params["mixes"].items():
        for category in weights:
            known(f"mixes.{mix}", category, list(params["categories"]), "a category")
    for arm, point in params["arms"].items():
        known(f"arms.{arm}", point, points, "base or a step")
    known("fuse.step", params["fuse"]["step"], points, "base or a step")
    problems += [_cycle_fault(cycle, file) for cycle in cycles(curriculum)]
    return problems or _shape_faults(params, file)


def path_to(point: str, curriculum: dict[str, dict]) -> list[str]:
    """The steps that lead from base to a point of the tree, the point itself last."""
    steps = []
    while point in curriculum:
        steps.append(point)
        point = curriculum[point]["after"]
    return steps[::-1]


def branches(curriculum: dict[str, dict]) -> dict[str, list[str]]:
    """The steps of each branch, by the step that it ends in: where several steps follow one, the first of them goes on with
    its branch, and each other begins one."""
    found: dict[str, list[str]] = {}
    following = {point: [step for step, settings in curriculum.items() if settings["after"] == point] for point in curriculum}
    begun = [step for step, settings in curriculum.items() if step not in following.get(settings["after"], [])[:1]]
    for step in begun:
        steps = [step]
        while follows := following[steps[-1]]:
            steps.append(follows[0])
        found[steps[-1]] = steps
    return found


def cycles(curriculum: dict) -> list[list[str]]:
    """Each cycle of `after`, once: the steps on it as they follow each other, from the one that is listed first."""
    found, done = [], set()
    for start in curriculum:
        path, point = [], start
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


def _shape_faults(params: dict, file: str) -> list[Problem]:
    """A step continues tensors, so it has the shape of the step before; only the first after base may choose one."""
    curriculum, problems = params["curriculum"], []

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
            problems.append(Problem(file, f"curriculum.{step}", got, f"batch_size, {batch_size}, at most: each takes a part"))
    return problems
