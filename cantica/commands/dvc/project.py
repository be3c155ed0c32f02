"""Read what DVC knows of the project in the current folder, and of other commits."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cantica.commands.dvc.records import MISSING, Entry, Lock, Node
from cantica.commands.git import git
from cantica.core.documents import read_yaml
from cantica.core.errors import InputError, Problem
from cantica.core.params import FILE
from cantica.settings.check import check_params
from cantica.settings.shared import lists

if TYPE_CHECKING:
    from dvc.stage import Stage


@dataclass(frozen=True)
class Project:
    """dvc.lock and dvc.yaml. `graph` has the form of a lock, without hashes and values; `stages` are DVC's own objects."""

    lock: Lock
    graph: Lock
    stages: dict[str, "Stage"]


def read_project() -> Project:
    """dvc.lock, and dvc.yaml as DVC resolves it. Raises InputError where DVC cannot."""
    files = (Path("dvc.yaml"), Path("dvc.lock"), FILE)
    return _project(Path.cwd(), tuple(file.read_bytes() if file.exists() else None for file in files))


@lru_cache(1)
def _project(folder: Path, contents: tuple[bytes | None, ...]) -> Project:
    """The project of a folder, which is read once while its files have these contents."""
    from dvc.dvcfile import load_file
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        file = load_file(Repo(str(folder)), "dvc.yaml")
        stages = dict(file.stages.items())
    except DvcException as error:
        hint = "`cantica check` lists the faults in params.yaml"
        raise InputError(Problem("dvc.yaml", "", str(error), "stages that DVC can load", hint)) from None
    graph = {name: _entry(stage, lambda node: None, lambda dep: dict.fromkeys(dep.params)) for name, stage in stages.items()}
    return Project(file.lockfile_contents.get("stages", {}), graph, stages)


def read_present(project: Project, names: list[str]) -> Lock:
    """The named stages of dvc.yaml with the present hashes and values of their inputs and outputs."""
    hashes: dict[str, str | None] = {}

    def md5(node: Any) -> str | None:
        if node.def_path not in hashes:
            hashes[node.def_path] = node.get_hash().value if node.exists else None
        return hashes[node.def_path]

    def values(dep: Any) -> dict[str, Any]:
        return dict.fromkeys(dep.params, MISSING) | dep.read_params()

    return {name: _entry(project.stages[name], md5, values) for name in names}


def _entry(stage: "Stage", md5: Callable[[Any], str | None], values: Callable[[Any], dict[str, Any]]) -> Entry:
    from dvc.dependency import ParamsDependency

    def nodes(items: list) -> list[Node]:
        return [{"path": item.def_path, "md5": found} if (found := md5(item)) else {"path": item.def_path} for item in items]

    params = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
    deps = [dep for dep in stage.deps if not isinstance(dep, ParamsDependency)]
    outs = nodes(stage.outs)
    for out, node in zip(stage.outs, outs, strict=True):
        if out.persist:
            node["persist"] = True
    return {"cmd": stage.cmd, "deps": nodes(deps), "params": {dep.def_path: values(dep) for dep in params}, "outs": outs}


def outputs_of_check() -> dict[str, str]:
    """The hashes that the outputs of `check` will have, by path. Raises InputError.

    They are known before it runs: they list names from params.yaml, so that most edits of it leave them as they are.
    """
    params = read_yaml(FILE)
    check_params(params, FILE)
    written = lists(params, Path("data"), Path("models/adapters"))
    return {path.as_posix(): hashlib.md5(text.encode()).hexdigest() for path, text in written.items()}


def read_lock(rev: str) -> Lock:
    """The stages in dvc.lock of a commit. Raises InputError where git has no such commit, or the commit has no dvc.lock."""
    from dvc.utils.serialize import parse_yaml

    if git("rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}") is None:
        raise InputError(Problem(rev, "", "no commit that git knows", "a branch, a tag, a hash or a name such as HEAD~1"))
    text = git("show", f"{rev}:./dvc.lock")
    if text is None:
        raise InputError(Problem(rev, "", "a commit without dvc.lock", "a commit that holds a build's dvc.lock"))
    return parse_yaml(text, f"{rev}:dvc.lock").get("stages", {})


class DvcFault(Exception):
    """DVC cannot do what was asked of it. The text says why."""


def reason(error: BaseException) -> str:
    """What an exception of DVC says, and what those say that caused it."""
    return f"{error}: {reason(error.__cause__)}" if error.__cause__ else str(error)


@contextmanager
def dvc_faults() -> Iterator[None]:
    """Turn DVC's own exceptions into DvcFault."""
    from dvc.exceptions import DvcException

    try:
        yield
    except DvcException as error:
        raise DvcFault(reason(error)) from None


def resolve(name: str) -> str:
    """The commit of a branch, tag, hash or experiment. Raises DvcFault."""
    from dvc.repo import Repo
    from dvc.scm import resolve_rev

    with dvc_faults(), Repo(".") as repo:
        return resolve_rev(repo.scm, name)


class Commit:
    """The files of a commit: text from git, outputs from DVC's cache or a remote. Nothing is checked out.

    commit: None for the working tree, whose outputs may be in the cache alone.
    """

    def __init__(self, commit: str | None):
        from dvc.api import DVCFileSystem

        self._files = DVCFileSystem(rev=commit)

    def stages(self) -> set[str]:
        """The names of the stages in its dvc.yaml."""
        return {stage.name for stage in self._files.repo.index.stages}

    def copy(self, path: str, target: Path) -> str:
        """Copy a file. Returns "", or the path, with the reason where there is one, if neither cache nor remote has it."""
        from dvc.exceptions import DvcException

        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.write_bytes(self._files.read_bytes(f"/{path}"))
        except FileNotFoundError:
            return path
        except DvcException:
            raise
        except Exception as error:  # each kind of remote has its own
            return f"{path} ({' '.join(str(error).split())})"
        return ""
