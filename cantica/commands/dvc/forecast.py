"""Predict which stages `dvc repro` would run, which it would restore, and why.

`dvc status` and `dvc repro --dry` stop at the first changed stage of a chain. This goes down the whole graph: a stage that DVC
restores from its cache has known outputs, and a stage that runs has unknown ones.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

from cantica.commands.dvc.cache import cache_folder, earlier_run, in_cache, part_of
from cantica.commands.dvc.changes import KINDS, changes, still_read
from cantica.commands.dvc.graph import edges, upstream
from cantica.commands.dvc.project import outputs_of_check
from cantica.commands.dvc.records import (
    MISSING,
    UNKNOWN,
    Entry,
    Lock,
    Node,
    dependencies,
    folder_hash,
    is_gate,
    outputs,
    within,
)
from cantica.commands.text import few

NEVER = "never built"
LOST = ("an output is missing or altered", "DVC's cache does not hold its outputs")  # with `persist`, without it
AT_MOST = "at most: if a stage writes the same output as before, the stages after it do not run"


@dataclass(frozen=True)
class Forecast:
    """`action`: the stage "runs", is "restored" from DVC's cache, or is "up to date". `why`: what changed.

    entry: what dvc.lock will hold of the stage, as far as it is known: of one that runs, its inputs.
    """

    action: str
    why: str = ""
    entry: Entry = field(default_factory=Entry, compare=False)


def predict(lock: Lock, present: Lock) -> dict[str, Forecast]:
    """`forecast` with the project's cache. `present` holds all stages. Raises InputError for wrong params."""
    cache = cache_folder()
    recall = functools.partial(earlier_run, cache)
    return forecast(lock, present, in_cache(cache), recall, outputs_of_check(), part_of(cache))


def forecast(
    lock: Lock,
    present: Lock,
    cached: Callable[[str], bool],
    recall: Callable[[Entry], Entry | None],
    predicted: dict[str, str],
    part: Callable[[str, str], str],
) -> dict[str, Forecast]:
    """The forecast for each stage of `present`, in an order in which they can run. Pure.

    cached: whether DVC's cache holds a hash. recall: an earlier run with the same inputs, or None; it is called with entries
    that have no unknown inputs. predicted: hashes of outputs that are known before their stage runs, by path. part: the hash of
    a folder inside an output, by the output's hash and the path there.
    """
    graph = edges(present, present)
    made: dict[str, str] = {}  # the hash that each output will have
    found: dict[str, Forecast] = {}
    for name in upstream(graph, *present):
        was, on_disk = lock.get(name, {}), outputs(present[name])
        deps = [_at_its_turn(dep, graph[name], made, was, present, part) for dep in present[name]["deps"]]
        now: Entry = present[name] | {"deps": deps}
        why = _why(name, was, now, present[name])
        after = [maker for dep in deps if dep["md5"] == UNKNOWN for maker in graph[name][dep["path"]]]
        unchanged = not why and not after
        persists = any(out.get("persist") for out in present[name]["outs"])  # then the run cache keeps no runs
        entry = None if after or persists else was if unchanged else recall(now)
        if unchanged and on_disk == outputs(was):
            found[name] = Forecast("up to date", entry=was)
        elif entry and all(cached(md5) or on_disk.get(path) == md5 for path, md5 in outputs(entry).items()):
            found[name] = Forecast("restored", why, entry)
        else:
            follows = next((f"follows {maker}" for maker in after if found[maker].action == "runs"), "")
            found[name] = Forecast("runs", why or follows or LOST[0 if persists else 1], now)
            entry = None
        gates = {path: md5 for path, md5 in outputs(was).items() if is_gate(path)}
        known = outputs(entry) if entry else gates | {path: predicted[path] for path in on_disk if path in predicted}
        made |= dict.fromkeys(on_disk, UNKNOWN) | known
    return found


def _at_its_turn(
    dep: Node,
    makers: dict[str, list[str]],
    made: dict[str, str],
    was: Entry,
    present: Lock,
    part: Callable[[str, str], str],
) -> Node:
    """A dependency with the hash that it will have when its stage's turn comes, or UNKNOWN."""
    path = dep["path"]
    if is_gate(path):  # its text never changes, so dvc.lock knows its hash
        return dep | {"md5": made.get(path, dependencies(was).get(path, UNKNOWN))}
    if not makers[path]:
        return dep | {"md5": dep.get("md5", MISSING)}
    if path in made:
        return dep | {"md5": made[path]}
    if around := next((out for maker in makers[path] for out in outputs(present[maker]) if within(path, out)), None):
        on_disk = {out: md5 for maker in makers[path] for out, md5 in outputs(present[maker]).items()}
        if made[around] in (on_disk[around], UNKNOWN):
            return dep | {"md5": UNKNOWN if made[around] == UNKNOWN else dep.get("md5", MISSING)}
        return dep | {"md5": part(made[around], path.removeprefix(f"{around}/"))}
    inside = {out: md5 for maker in makers[path] for out, md5 in outputs(present[maker]).items() if within(out, path)}
    if inside and all(made[out] == md5 for out, md5 in inside.items()):
        return dep | {"md5": dep.get("md5", MISSING)}
    return dep | {"md5": folder_hash({out.removeprefix(f"{path}/"): made[out] for out in inside}) if inside else UNKNOWN}


def _why(name: str, was: Entry, now: Entry, declared: Entry) -> str:
    """The inputs of a stage that changed since dvc.lock, by kind, without those that are not known yet."""
    if not was:
        return NEVER
    found = [change for change in changes(name, still_read(was, declared), now) if change.now != UNKNOWN]
    kinds = {kind: [change.key for change in found if change.kind == kind] for kind in KINDS}
    return "; ".join("command" if kind == "commands" else f"{kind}: {few(keys)}" for kind, keys in kinds.items() if keys)
