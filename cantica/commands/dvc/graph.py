"""The order of stages, from DVC's records. Pure."""

from collections.abc import Collection, Iterable, Mapping
from heapq import heapify, heappop, heappush
from itertools import chain

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


def makers_of(stages: Lock) -> dict[str, list[str]]:
    """For each stage, those that make what it reads, gates among them."""
    outs = [(out["path"], name) for name, entry in stages.items() for out in entry["outs"]]
    paths = {name: [dep["path"] for dep in entry["deps"]] for name, entry in stages.items()}
    made = {path: [name for out, name in outs if overlap(path, out)] for path in {*chain.from_iterable(paths.values())}}
    return {name: list(dict.fromkeys(maker for path in own for maker in made[path])) for name, own in paths.items()}


def lengths(makers: Mapping[str, Collection[str]], seconds: Mapping[str, float]) -> dict[str, float]:
    """For each stage, the seconds of the longest chain of stages that begins with it. `makers` has those before each."""
    follow = _followers(makers)
    found: dict[str, float] = {}

    def length(name: str) -> float:
        if name not in found:
            found[name] = seconds.get(name, 0.0) + max(map(length, follow[name]), default=0.0)
        return found[name]

    return {name: length(name) for name in makers}


def longest_chain(makers: Mapping[str, Collection[str]], seconds: Mapping[str, float]) -> list[str]:
    """The stages of the chain that takes longest, in order: no number of workers builds in less time than these take."""
    length, follow = lengths(makers, seconds), _followers(makers)
    found: list[str] = []
    names: Collection[str] = [name for name in makers if not makers[name]]
    while names:
        found.append(max(names, key=length.__getitem__))
        names = follow[found[-1]]
    return found


def makespan(makers: Mapping[str, Collection[str]], seconds: Mapping[str, float], workers: int) -> float:
    """The seconds in which so many workers run all stages, if one that is free takes the one with the longest chain left."""
    length, follow = lengths(makers, seconds), _followers(makers)
    missing = {name: len(own) for name, own in makers.items()}
    ready = [(-length[name], name) for name, count in missing.items() if not count]
    going: list[tuple[float, str]] = []
    heapify(ready)
    now = 0.0
    while ready or going:
        while ready and len(going) < workers:
            _, name = heappop(ready)
            heappush(going, (now + seconds.get(name, 0.0), name))
        now, ended = heappop(going)
        for name in follow[ended]:
            missing[name] -= 1
            if not missing[name]:
                heappush(ready, (-length[name], name))
    return now


def _followers(makers: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {name: [] for name in makers}
    for name, before in makers.items():
        for maker in before:
            found[maker].append(name)
    return found


def downstream(graph: Graph, changed: Iterable[str], *names: str) -> list[str]:
    """The changed stages and those that follow them, on the way to the named stages, in an order in which they can run."""
    dirty = set(changed)
    order = upstream(graph, *names)
    for stage in order:
        if any(maker in dirty for makers in graph[stage].values() for maker in makers):
            dirty.add(stage)
    return [stage for stage in order if stage in dirty]
