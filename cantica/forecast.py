"""What a build would do with each stage, from DVC's records alone: which run, which DVC restores, and why. Pure."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from cantica.progress import few
from cantica.records import (
    KINDS,
    MISSING,
    UNKNOWN,
    asked_for,
    changes,
    edges,
    folder_hash,
    is_gate,
    outputs,
    upstream,
    within,
)

GONE = "an output is missing or altered"


@dataclass(frozen=True)
class Fate:
    """What becomes of a stage: it is `up to date`, `restored` from DVC's cache, or it `runs`; and why."""

    what: str
    why: str = ""


def forecast(
    lock: dict[str, dict],
    present: dict[str, dict],
    has: Callable[[str], bool],
    recall: Callable[[dict], dict | None],
    foreseen: dict[str, str],
) -> dict[str, Fate]:
    """The fate of every stage of `present`, in an order in which they can run.

    has: whether DVC's cache holds a hash. recall: the entry of an earlier run with the same inputs, or None, for an entry whose
    inputs are all known. foreseen: the hashes of outputs that are known before their stage runs, by path. Another
    stage that runs may make what it made before, and then those that follow it do not run.
    """
    graph = edges(present, present)
    made: dict[str, str] = {}
    fates: dict[str, Fate] = {}
    for name in upstream(graph, *present):
        was = lock.get(name, {})
        there = outputs(present[name])
        now = present[name] | {"deps": [_dep(dep, graph[name], made, was, present) for dep in present[name]["deps"]]}
        why = _why(name, was, now, present[name])
        after = [maker for dep in now["deps"] if dep["md5"] == UNKNOWN for maker in graph[name][dep["path"]]]
        same = not why and not after
        # DVC's run cache has no run of a stage whose outputs persist.
        persists = any(out.get("persist") for out in present[name]["outs"])
        entry = None if after or persists else was if same else recall(now)
        if same and there == outputs(was):
            fates[name] = Fate("up to date")
        elif entry and all(has(md5) or there.get(path) == md5 for path, md5 in outputs(entry).items()):
            fates[name] = Fate("restored", why)
        else:
            following = next((f"follows {maker}" for maker in after if fates[maker].what == "runs"), "")
            fates[name] = Fate("runs", why or following or (GONE if persists else "DVC's cache does not hold its outputs"))
            entry = None
        gates = {path: md5 for path, md5 in outputs(was).items() if is_gate(path)}
        known = outputs(entry) if entry else gates | {path: foreseen[path] for path in there if path in foreseen}
        made |= dict.fromkeys(there, UNKNOWN) | known
    return fates


def _dep(dep: dict, makers: dict[str, list[str]], made: dict[str, str], was: dict, present: dict) -> dict:
    """A dependency with the hash that it will have when its stage's turn comes, as far as that is known."""
    path = dep["path"]
    if is_gate(path):
        # Its text never changes, so what was built past it knows its hash.
        old = {d["path"]: d["md5"] for d in was.get("deps", [])}
        return dep | {"md5": made.get(path, old.get(path, UNKNOWN))}
    if not makers[path]:
        return dep | {"md5": dep.get("md5", MISSING)}
    if path in made:
        return dep | {"md5": made[path]}
    there = {out: md5 for maker in makers[path] for out, md5 in outputs(present[maker]).items() if within(out, path)}
    if there and all(made[out] == md5 for out, md5 in there.items()):
        return dep | {"md5": dep.get("md5", MISSING)}
    return dep | {"md5": folder_hash({out.removeprefix(f"{path}/"): made[out] for out in there}) if there else UNKNOWN}


def run_key(entry: dict) -> str:
    """The name under which DVC's run cache keeps the runs of a stage with just these inputs."""
    inputs = [(dep["path"], dep["md5"]) for dep in entry["deps"]]
    parts = {
        "cmd": entry["cmd"],
        "deps": [{"hash": "md5", "md5": md5, "path": path} for path, md5 in sorted(inputs)],
        "params": entry.get("params"),
        "outs": sorted(outputs(entry)),
    }
    kept = {key: value for key, value in parts.items() if value}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _why(name: str, was: dict, now: dict, declared: dict) -> str:
    """The inputs of a stage that changed since its record, by kind; not those that are not known yet."""
    if not was:
        return "never built"
    found = [change for change in changes(name, asked_for(was, declared), now) if change.now != UNKNOWN]
    kinds = {kind: [change.key for change in found if change.kind == kind] for kind in KINDS}
    return "; ".join("command" if kind == "commands" else f"{kind}: {few(keys)}" for kind, keys in kinds.items() if keys)
