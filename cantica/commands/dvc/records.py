"""DVC's own records of what was made from what, in one form, so that every question is a comparison of two of them.

dvc.lock says what outputs were made from; the present is dvc.yaml as DVC resolves it, with hashes and values as DVC computes
them now. The lock of the working tree, the lock of another commit and the present all have the form of dvc.lock:

    {stage: {"cmd": …, "deps": [{"path": …, "md5": …}], "params": {file: {key: value}}, "outs": [{"path": …, "md5": …}]}}

In the present an output that DVC leaves in place when its stage runs has `"persist": True` too.
"""

import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cantica.commands.git import git
from cantica.core.documents import read_yaml
from cantica.core.errors import InputError, Problem
from cantica.core.params import FILE
from cantica.settings.check import check_params
from cantica.settings.shared import lists

NOT_READ = "(not an input)"
MISSING = "(missing)"
UNKNOWN = "(made by a stage that runs)"
KINDS = ("stages", "files", "params", "versions", "code", "commands")


@dataclass(frozen=True)
class Change:
    """An input of one stage that differs between two records."""

    stage: str
    kind: str  # one of KINDS
    key: str
    was: object
    now: object


@dataclass(frozen=True)
class Records:
    """What DVC knows of the project in the current folder."""

    lock: dict[str, dict]
    graph: dict[str, dict]  # dvc.yaml resolved: as the lock, but without hashes and values
    stages: dict = field(default_factory=dict)  # DVC's own objects, by name


# ---- pure: the records as a graph


def edges(lock: dict, current) -> dict[str, dict[str, list[str]]]:
    """For each stage, the stages that made each of its `deps`, by path; what people edit has no such stages.

    A folder is made by all stages that write into it. dvc.lock keeps entries of stages that dvc.yaml has no more: a stage of
    `current` goes before one of them. A gate is left out.
    """
    outs = [(out["path"], name) for name, entry in lock.items() for out in entry.get("outs", []) if not is_gate(out["path"])]

    def makers(path: str) -> list[str]:
        found = list(dict.fromkeys(name for out, name in outs if within(path, out) or within(out, path)))
        return [name for name in found if name in current] or found

    by_path = {path: makers(path) for path in {dep["path"] for entry in lock.values() for dep in entry.get("deps", [])}}
    return {name: {dep["path"]: by_path[dep["path"]] for dep in entry.get("deps", [])} for name, entry in lock.items()}


def is_gate(path: str) -> bool:
    """Whether an output only lets later stages pass: its text never changes, so nothing reaches them through it."""
    return path.endswith("/passed.txt")


def within(path: str, folder: str) -> bool:
    """Whether `path` is `folder` or lies in it."""
    return path == folder or path.startswith(f"{folder}/")


def upstream(graph: dict[str, dict[str, list[str]]], *names: str) -> list[str]:
    """The stages before the named ones, and these themselves, in an order in which they can run."""
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


def downstream(
    graph: dict[str, dict[str, list[str]]], found: list[Change], *names: str, settled: frozenset[str] = frozenset()
) -> list[str]:
    """The stages with a changed input, and those that follow them, on the way to the named stages; in order.

    settled: stages that will make what they made before, and so change nothing after them.
    """
    dirty = {change.stage for change in found}
    order = upstream(graph, *names)
    for stage in order:
        if any(maker in dirty - settled for makers in graph[stage].values() for maker in makers):
            dirty.add(stage)
    return [stage for stage in order if stage in dirty]


def settled(lock: dict[str, dict], foreseen: dict[str, str]) -> frozenset[str]:
    """The stages whose outputs are all foreseen, and as in dvc.lock."""
    return frozenset(
        name for name, entry in lock.items() if all(foreseen.get(path) == md5 for path, md5 in outputs(entry).items())
    )


def maker_of(path: str, *locks: dict) -> tuple[str, str] | None:
    """The stage and the path of the output that `path` is or lies in, from the first of the locks that has one; or None."""
    makers = ((name, out) for lock in locks for name, entry in lock.items() for out in outputs(entry) if within(path, out))
    return next(makers, None)


def outputs(entry: dict) -> dict[str, str]:
    """The hash of each output of a stage, by path."""
    return {out["path"]: out.get("md5", MISSING) for out in entry.get("outs", [])}


def folder_hash(files: dict[str, str]) -> str:
    """DVC's hash of a folder from those of the files in it, by their paths in it; UNKNOWN where one is not a known file."""
    if any(md5 == UNKNOWN or md5.endswith(".dir") for md5 in files.values()):
        return UNKNOWN
    listed = [{"md5": md5, "relpath": path} for path, md5 in sorted(files.items())]
    return f"{hashlib.md5(json.dumps(listed, sort_keys=True).encode()).hexdigest()}.dir"


# ---- pure: inputs, and how they differ


def inputs(entry: dict) -> dict[tuple[str, str], object]:
    """Every input of one stage as `{(kind, key): hash or value}`; values of params down to the single key."""
    found: dict[tuple[str, str], object] = {}
    for dep in entry.get("deps", []):
        found["code" if is_code(dep["path"]) else "files", dep["path"]] = dep.get("md5", MISSING)
    for file, values in entry.get("params", {}).items():
        prefix = "" if file == "params.yaml" else f"{file}:"
        for key, value in values.items():
            for leaf, single in _leaves(key, value):
                found["versions" if is_version(leaf) else "params", prefix + leaf] = single
    found["commands", "cmd"] = entry.get("cmd", "")
    return found


def is_code(path: str) -> bool:
    """Whether a dependency is code of the project, as against text that people edit or what a stage makes."""
    return path.startswith(("stages/", "cantica/"))


def is_version(key: str) -> bool:
    """Whether a param is the version of a library."""
    return key.startswith("toolchain.")


def _leaves(key: str, value):
    if not isinstance(value, dict) or not value:
        return [(key, value)]
    return [leaf for name, child in value.items() for leaf in _leaves(f"{key}.{name}", child)]


def changes(stage: str, old: dict, new: dict) -> list[Change]:
    """The inputs by which two entries of a stage differ."""
    before, after = inputs(old), inputs(new)
    keys = sorted({**before, **after}, key=lambda key: KINDS.index(key[0]))
    pairs = [(key, before.get(key, NOT_READ), after.get(key, NOT_READ)) for key in keys]
    return [Change(stage, *key, was, now) for key, was, now in pairs if was != now]


def edits(lock: dict, present: dict) -> list[Change]:
    """What DVC would find changed in the stages of `present`: their inputs now against those in dvc.lock.

    An input that another stage makes counts as dvc.lock says it was made, whatever lies on the disk: DVC restores it. One that
    dvc.yaml no longer lists does not count: DVC does not look at it either.
    """
    made = {path: md5 for name in sorted(lock, key=present.__contains__) for path, md5 in outputs(lock[name]).items()}
    current = {path: md5 for name in present for path, md5 in outputs(lock.get(name, {})).items()}
    found = []
    for name, entry in present.items():
        if name not in lock:
            found.append(Change(name, "stages", name, "never built", "in dvc.yaml"))
            continue
        was = {dep["path"]: dep.get("md5") for dep in lock[name].get("deps", [])}
        now = entry | {"deps": [dep | {"md5": _as_made(dep, was, made, current)} for dep in entry["deps"]]}
        found += changes(name, asked_for(lock[name], entry), now)
    return found


def _as_made(dep: dict, was: dict[str, str | None], *made: dict[str, str]) -> str:
    """The hash of a dependency as stages made it; of a folder that several write into, where what it was is what they wrote."""
    path = dep["path"]
    if path in made[0]:
        return made[0][path]
    written = [{out.removeprefix(f"{path}/"): md5 for out, md5 in outs.items() if within(out, path)} for outs in made]
    same = was.get(path) in [folder_hash(files) for files in written if files]
    return was[path] if same else dep.get("md5", MISSING)


def asked_for(entry: dict, present: dict) -> dict:
    """A stage's lock entry, reduced to the inputs that dvc.yaml still lists."""
    paths = {dep["path"] for dep in present["deps"]}
    keys = {(file, key) for file, values in present["params"].items() for key in values}
    params = {f: {k: v for k, v in values.items() if (f, k) in keys} for f, values in entry.get("params", {}).items()}
    return entry | {"deps": [dep for dep in entry.get("deps", []) if dep["path"] in paths], "params": params}


def altered(lock: dict, present: dict) -> list[tuple[str, str, str]]:
    """(path, hash in dvc.lock, hash now) for each output on the disk that is not what its stage made."""
    now = {out["path"]: out.get("md5", MISSING) for entry in present.values() for out in entry["outs"]}
    outs = [out for name in present for out in lock.get(name, {}).get("outs", [])]
    return [(o["path"], o["md5"], now[o["path"]]) for o in outs if now.get(o["path"], o["md5"]) != o["md5"]]


def causes(name: str, old: dict, new: dict, current) -> tuple[list[Change], list[str]]:
    """Why a stage's outputs differ between two locks: the inputs at the root of it, and the stages through which they act.

    Only inputs that differ are followed upstream, so that an edit which left no trace in what was made of it is not a cause.
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


# ---- read from DVC and git


def read_records() -> Records:
    """dvc.lock, and dvc.yaml as DVC resolves it. Raises InputError where DVC cannot."""
    from dvc.dvcfile import load_file
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        file = load_file(Repo("."), "dvc.yaml")
        stages = dict(file.stages.items())
    except DvcException as error:
        hint = "`cantica check` tells more"
        raise InputError(Problem("dvc.yaml", "", str(error), "stages that DVC can load", hint)) from None
    graph = {name: _entry(stage, lambda node: None, lambda dep: dict.fromkeys(dep.params)) for name, stage in stages.items()}
    return Records(file.lockfile_contents.get("stages", {}), graph, stages)


def read_present(records: Records, names: list[str]) -> dict[str, dict]:
    """The named stages of dvc.yaml with the present hashes and values of their inputs and outputs, in the form of dvc.lock."""
    hashes: dict[str, str | None] = {}

    def md5(node) -> str | None:
        if node.def_path not in hashes:
            hashes[node.def_path] = node.get_hash().value if node.exists else None
        return hashes[node.def_path]

    def values(dep) -> dict:
        return dict.fromkeys(dep.params, MISSING) | dep.read_params()

    return {name: _entry(records.stages[name], md5, values) for name in names}


def _entry(stage, md5, values) -> dict:
    from dvc.dependency import ParamsDependency

    def nodes(items) -> list[dict]:
        return [{"path": item.def_path} | ({"md5": found} if (found := md5(item)) else {}) for item in items]

    params = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
    deps = [dep for dep in stage.deps if not isinstance(dep, ParamsDependency)]
    by_file = {dep.def_path: values(dep) for dep in params}
    outs = [node | ({"persist": True} if out.persist else {}) for out, node in zip(stage.outs, nodes(stage.outs), strict=True)]
    return {"cmd": stage.cmd, "deps": nodes(deps), "params": by_file, "outs": outs}


def read_foreseen() -> dict[str, str]:
    """The hashes that outputs of `check` will have, by path, known before it runs. Raises InputError.

    They list names in params.yaml, so that most edits of it change none of them.
    """
    params = read_yaml(FILE)
    check_params(params, FILE)
    written = lists(params, Path("data"), Path("models/adapters"))
    return {path.as_posix(): hashlib.md5(text.encode()).hexdigest() for path, text in written.items()}


def cache_folder() -> Path:
    """Where DVC keeps what was built."""
    from dvc.repo import Repo

    with Repo(".") as repo:
        return Path(repo.cache.local_cache_dir)


def in_cache(cache: Path) -> Callable[[str], bool]:
    """A function: whether DVC's cache holds a file, or a folder with all that is in it, by its hash."""

    def has(md5: str) -> bool:
        file = cache / "files/md5" / md5[:2] / md5[2:]
        if not file.exists():
            return False
        return not md5.endswith(".dir") or all(has(item["md5"]) for item in json.loads(file.read_text()))

    return has


def read_lock(rev: str) -> dict[str, dict]:
    """The stages in dvc.lock of a commit. Raises InputError where git has no such commit, or that no dvc.lock."""
    from dvc.utils.serialize import parse_yaml

    if git("rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}") is None:
        raise InputError(Problem(rev, "", "no commit that git knows", "a branch, a tag, a hash or a name such as HEAD~1"))
    text = git("show", f"{rev}:./dvc.lock")
    if text is None:
        raise InputError(Problem(rev, "", "a commit without dvc.lock", "a commit that holds a build's dvc.lock"))
    return parse_yaml(text, f"{rev}:dvc.lock").get("stages", {})


@dataclass
class LinesChanged:
    """By how many lines each file that git tracks differs from a commit."""

    rev: str

    def __call__(self, path: str) -> list[str]:
        """`file +added −removed` for each such file at or in a path."""
        found = [(added, removed, file) for added, removed, file in self._counts if within(file, path)]
        return [f"{file.removeprefix(path).lstrip('/')} +{added} −{removed}".strip() for added, removed, file in found]

    @functools.cached_property
    def _counts(self) -> list[list[str]]:
        return [line.split("\t", 2) for line in (git("diff", "--numstat", "--relative", self.rev) or "").splitlines()]
