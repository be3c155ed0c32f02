"""The order of stages, from DVC's records. Pure."""

from collections.abc import Collection, Iterable

from cantica.commands.dvc.records import Lock, is_gate, overlap

Graph = dict[str, dict[str, list[str]]]  # of each stage: the stages that made each path it reads; none for files people edit


def edges(lock: Lock, current: Collection[str]) -> Graph:
    """For each stage, the stages that made each path it reads. Gates have no makers.

    A folder is made by all stages that write into it. dvc.lock may still hold stages that dvc.yaml no longer has: where a
    stage of `current` makes a path, these do not count.
    """
    outs = [(out["path"], name) for name, entry in lock.items() for out in entry.get("outs", []) if not is_gate(out["path"])]

    def makers(path: str) -> list[str]:
        found = list(dict.fromkeys(name for out, name in outs if overlap(path, out)))
        return [name for name in found if name in current] or found

    by_path = {path: makers(path) for path in {dep["path"] for entry in lock.values() for dep in entry.get("deps", [])}}
    return {name: {dep["path"]: by_path[dep["path"]] for dep in entry.get("deps", [])} for name, entry in lock.items()}


def upstream(graph: Graph, *names: str) -> list[str]:
    """The named stages and all stages before them, in an order in which they can run."""
    done: dict[str, None] = {}
    seen = set()

    def visit(name: str) -> None:
        if name not in seen:
            seen.add(name)
            for makers in graph[name].values():
                for maker in makers:
                    visit(maker)
            done[name] = None

    for name in names:
        visit(name)
    return list(done)


def downstream(graph: Graph, changed: Iterable[str], *names: str) -> list[str]:
    """The changed stages and those that follow them, on the way to the named stages, in an order in which they can run."""
    dirty = set(changed)
    order = upstream(graph, *names)
    for stage in order:
        if any(maker in dirty for makers in graph[stage].values() for maker in makers):
            dirty.add(stage)
    return [stage for stage in order if stage in dirty]
