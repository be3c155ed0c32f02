"""What a build would do with each stage, from DVC's records alone: which run, which DVC restores, and why. Pure."""

import hashlib
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from cantica.commands.checks.numbers import leaves
from cantica.commands.dvc.records import (
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
from cantica.commands.variants.progress import few

GONE = "an output is missing or altered"
# The params that the work of a kind of stage grows with, and those of `train` by which nobody knows how.
GROWING = {
    "measure": ("measure.examples",),
    "respond": ("respond.samples", "respond.max_tokens"),
    "probe": ("probe.max_tokens",),
    "capability": ("capability.items", "capability.max_tokens"),
}
SCALED = {"train", "verdict", "base", "render", "dataset", "audit", "export", *GROWING}
TRAINED = ("grad_checkpoint", "launch")


@dataclass(frozen=True)
class Work:
    """What a stage has to do. params: those that it reads, by dotted key down to the single value.

    base: bytes of the base model, None where it is not known. prompts: how many the arms are asked.
    """

    params: dict[str, object]
    base: int | None = None
    prompts: int = 0


@dataclass(frozen=True)
class Fate:
    """What becomes of a stage: it is `up to date`, `restored` from DVC's cache, or it `runs`; why; and what it has to do."""

    what: str
    why: str = ""
    work: Work | None = field(default=None, compare=False)


def scaled(record: dict, stage: str, work: Work) -> float | None:
    """Seconds that a stage's work takes, by the timing of an earlier one of its kind; None where that does not tell.

    Work grows with iterations, batch, length and counts. How much more another base model takes is not known.
    """
    kind = stage.partition("@")[0]
    if record.get("base", work.base) != work.base or ("params" not in record and kind in SCALED):
        return None
    if "params" not in record:
        return record["seconds"]
    was = Work(leaves(record["params"]), record.get("base"), record["lines"].get("questions", 0))
    before, after = amount(record["stage"], was), amount(stage, work)
    same = unscaled(record["stage"], was) == unscaled(stage, work)
    return record["seconds"] * after / before if same and before else None


def amount(stage: str, work: Work) -> float:
    """How much work there is, in a unit of the kind of stage."""
    kind, _, name = stage.partition("@")
    params = work.params
    if kind == "train":
        return math.prod(_of_step(params, name, key) for key in ("iters", "batch_size", "max_seq_length"))
    if kind == "verdict":
        return params[f"judges.{name}.max_tokens"]
    if kind in ("render", "dataset", "audit", "export"):
        counts = [value for key, value in params.items() if re.fullmatch(r"categories\.\w+\.(train|valid)", key)]
        return 1 + sum(counts)
    prompts = work.prompts if kind == "respond" else 1
    return prompts * math.prod(params[key] for key in GROWING.get(kind, ()))


def unscaled(stage: str, work: Work) -> list:
    """The params of a stage by which its time changes nobody knows how."""
    kind, _, name = stage.partition("@")
    if kind == "train":
        return [_of_step(work.params, name, "layers", "lora"), *(_of_step(work.params, name, key) for key in TRAINED)]
    keys = {"base": "base.", "verdict": f"judges.{name}."}
    prefix = keys.get(kind)
    return sorted(
        (key.removeprefix(prefix), str(value))
        for key, value in work.params.items()
        if prefix and key.startswith(prefix) and not key.endswith("max_tokens")
    )


def _of_step(params: dict[str, object], step: str, key: str, section: str = "train"):
    """A setting of a step: its own, or that of all steps."""
    return params.get(f"curriculum.{step}.{key}", params.get(f"{section}.{key}"))


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
