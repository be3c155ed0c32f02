"""The form in which DVC records what was made from what.

Three records have the same form, so that every question is a comparison of two of them: dvc.lock of the working tree (what
the outputs were made from), dvc.lock of another commit, and the present (dvc.yaml as DVC resolves it, with today's hashes
and values).
"""

import hashlib
import json
from typing import Any, TypedDict

MISSING = "(missing)"
UNKNOWN = "(made by a stage that runs)"


class Node(TypedDict, total=False):
    """A file or folder that a stage reads or writes. `persist`: DVC leaves the output in place when the stage runs."""

    path: str
    md5: str
    size: int
    nfiles: int
    persist: bool


class Entry(TypedDict, total=False):
    """One stage. `params` holds the values that it reads, by file and by dotted key."""

    cmd: str
    deps: list[Node]
    params: dict[str, dict[str, Any]]
    outs: list[Node]


Lock = dict[str, Entry]  # by the name of the stage


def outputs(entry: Entry) -> dict[str, str]:
    """The hash of each output of a stage, by path."""
    return {out["path"]: out.get("md5", MISSING) for out in entry.get("outs", [])}


def dependencies(entry: Entry) -> dict[str, str]:
    """The hash of each file and folder that a stage reads, by path."""
    return {dep["path"]: dep.get("md5", MISSING) for dep in entry.get("deps", [])}


def within(path: str, folder: str) -> bool:
    """Whether `path` is `folder` or lies in it."""
    return path == folder or path.startswith(f"{folder}/")


def overlap(path: str, other: str) -> bool:
    """Whether one of two paths is the other or lies in it."""
    return within(path, other) or within(other, path)


def is_gate(path: str) -> bool:
    """Whether an output only lets later stages pass. Its text never changes, so no change reaches them through it."""
    return path.endswith("/passed.txt")


def is_code(path: str) -> bool:
    """Whether a dependency is code of the project, and not text that people edit or an output of a stage."""
    return path.startswith(("stages/", "cantica/"))


def is_version(key: str) -> bool:
    """Whether a param is the version of a library."""
    return key.startswith("toolchain.")


def maker_of(path: str, *locks: Lock) -> tuple[str, str] | None:
    """(stage, its output) such that `path` is this output or lies in it, from the first lock that has one; or None."""
    makers = ((name, out) for lock in locks for name, entry in lock.items() for out in outputs(entry) if within(path, out))
    return next(makers, None)


def folder_hash(files: dict[str, str]) -> str:
    """DVC's hash of a folder from the hashes of its files, by their paths in the folder; UNKNOWN if one is not known."""
    if any(md5 == UNKNOWN or md5.endswith(".dir") for md5 in files.values()):
        return UNKNOWN
    listed = [{"md5": md5, "relpath": path} for path, md5 in sorted(files.items())]
    return f"{hashlib.md5(json.dumps(listed, sort_keys=True).encode()).hexdigest()}.dir"
