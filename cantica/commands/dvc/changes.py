"""In which inputs two records differ. Pure."""

from collections.abc import Collection
from dataclasses import dataclass

from cantica.commands.dvc.graph import edges, upstream
from cantica.commands.dvc.records import (
    MISSING,
    Entry,
    Lock,
    Node,
    dependencies,
    folder_hash,
    is_code,
    is_version,
    outputs,
    within,
)
from cantica.reporting.nested import flatten

NOT_READ = "(not an input)"
KINDS = ("stages", "files", "params", "versions", "code", "commands")


@dataclass(frozen=True)
class Change:
    """An input of one stage that differs between two records."""

    stage: str
    kind: str  # one of KINDS
    key: str
    was: object
    now: object


def inputs(entry: Entry) -> dict[tuple[str, str], object]:
    """Every input of one stage as `{(kind, key): hash or value}`. Params are split down to single values."""
    found: dict[tuple[str, str], object] = {}
    for path, md5 in dependencies(entry).items():
        found["code" if is_code(path) else "files", path] = md5
    for file, values in entry.get("params", {}).items():
        prefix = "" if file == "params.yaml" else f"{file}:"
        for key, value in values.items():
            for leaf, single in flatten(value, key).items():
                found["versions" if is_version(leaf) else "params", prefix + leaf] = single
    found["commands", "cmd"] = entry.get("cmd", "")
    return found


def changes(stage: str, old: Entry, new: Entry) -> list[Change]:
    """The inputs in which two entries of a stage differ."""
    before, after = inputs(old), inputs(new)
    keys = sorted({**before, **after}, key=lambda key: KINDS.index(key[0]))
    pairs = [(key, before.get(key, NOT_READ), after.get(key, NOT_READ)) for key in keys]
    return [Change(stage, *key, was, now) for key, was, now in pairs if was != now]


def edits(lock: Lock, present: Lock) -> list[Change]:
    """The inputs of the stages of `present` that changed since dvc.lock, as DVC would find them.

    An input that another stage makes counts as it stands in dvc.lock, whatever lies on the disk: DVC restores it. A part of an
    output, such as a checkpoint, counts as it lies on the disk where the whole output is the one in dvc.lock, and else as
    unchanged. An input that dvc.yaml no longer lists does not count: DVC does not look at it either.
    """
    made = {path: md5 for name in sorted(lock, key=present.__contains__) for path, md5 in outputs(lock[name]).items()}
    current = {path: md5 for name in present for path, md5 in outputs(lock.get(name, {})).items()}
    on_disk = {path: md5 for entry in present.values() for path, md5 in outputs(entry).items()}
    found = []
    for name, entry in present.items():
        if name not in lock:
            found.append(Change(name, "stages", name, "never built", "in dvc.yaml"))
            continue
        was = dependencies(lock[name])
        deps: list[Node] = [dep | {"md5": _as_made(dep, was, on_disk, made, current)} for dep in entry["deps"]]
        found += changes(name, still_read(lock[name], entry), entry | {"deps": deps})
    return found


def _as_made(dep: Node, was: dict[str, str], on_disk: dict[str, str], *made: dict[str, str]) -> str:
    """The hash of a dependency as stages made it. A folder that several write into counts as unchanged if they wrote it so."""
    path = dep["path"]
    if path in made[0]:
        return made[0][path]
    if whole := next((out for out in made[0] if within(path, out)), None):
        as_made = on_disk.get(whole) == made[0][whole]
        return dep.get("md5", MISSING) if as_made else was.get(path, MISSING)
    written = [{out.removeprefix(f"{path}/"): md5 for out, md5 in outs.items() if within(out, path)} for outs in made]
    unchanged = was.get(path) in [folder_hash(files) for files in written if files]
    return was[path] if unchanged else dep.get("md5", MISSING)


def still_read(entry: Entry, present: Entry) -> Entry:
    """A stage's entry in dvc.lock, reduced to the inputs that dvc.yaml still lists."""
    paths = {dep["path"] for dep in present["deps"]}
    keys = {(file, key) for file, values in present["params"].items() for key in values}
    params = {f: {k: v for k, v in values.items() if (f, k) in keys} for f, values in entry.get("params", {}).items()}
    return entry | {"deps": [dep for dep in entry.get("deps", []) if dep["path"] in paths], "params": params}


def altered(lock: Lock, present: Lock) -> list[tuple[str, str, str]]:
    """(path, hash in dvc.lock, hash now) of each output on the disk that differs from what its stage made."""
    now = {path: md5 for entry in present.values() for path, md5 in outputs(entry).items()}
    made = [(path, md5) for name in present for path, md5 in outputs(lock.get(name, {})).items()]
    return [(path, md5, now[path]) for path, md5 in made if now.get(path, md5) != md5]


def causes(name: str, old: Lock, new: Lock, current: Collection[str]) -> tuple[list[Change], list[str]]:
    """Why a stage's outputs differ between two locks: the changed inputs at the root, and the stages through which they act.

    Only inputs that differ are followed upstream. So an edit that left no trace in what was made from it is not a cause.
    """
    graph = edges(new, current)
    roots: list[Change] = []
    seen: set[str] = set()

    def visit(stage: str) -> None:
        seen.add(stage)
        if stage not in old:
            roots.append(Change(stage, "stages", stage, "not there", "in dvc.lock"))
        for change in changes(stage, old.get(stage, new[stage]), new[stage]):
            makers = [m for m in graph[stage].get(change.key, []) if outputs(old.get(m, {})) != outputs(new[m])]
            if not makers or change.was == NOT_READ:
                roots.append(change)
            for maker in makers:
                if maker not in seen:
                    visit(maker)

    visit(name)
    return roots, [stage for stage in upstream(graph, name) if stage in seen]
