"""A project as a build begins: what DVC knows of its stages, and the files that they read."""

import gzip
import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cantica.commands.builds.worker import committing
from cantica.commands.dvc.cache import cache_folder
from cantica.commands.dvc.forecast import Forecast, predict
from cantica.commands.dvc.graph import makers_of
from cantica.commands.dvc.project import Project, outputs_of_check, read_present, read_project
from cantica.commands.dvc.records import Lock, dependencies, outputs, within
from cantica.commands.plan import plan_of, times
from cantica.commands.timings import peaks, read_timings
from cantica.core.params import FILE

if TYPE_CHECKING:
    from dvc.repo import Repo

FIRST = "check"  # DVC keeps no run of it that could be restored, since its outputs persist
ALWAYS = ("dvc.yaml", str(FILE), ".dvc/config", ".dvcignore")  # what DVC itself reads


@dataclass(frozen=True)
class Snapshot:
    """The stages of a build in the order of dvc.yaml, with what `forecast` needs of them.

    makers: for each stage, those that make what it reads, gates among them. unkept: stages of which DVC's run cache keeps no
    runs. seconds, memory: of each stage, the latter in MB, by earlier timings, where that is known. cache: the folder of DVC's
    cache. tree: a tar archive of the files that the stages read and no stage makes. Where no stage has to run, `seconds` and
    `tree` are empty.
    """

    lock: Lock
    present: Lock
    predicted: dict[str, str]
    makers: dict[str, list[str]]
    unkept: frozenset[str]
    seconds: dict[str, float]
    memory: dict[str, int]
    cache: Path
    tree: bytes


def take_snapshot(targets: Iterable[str] = (), root: Path = Path()) -> Snapshot:
    """Let DVC run `check` in the current folder's project, if the targets need it, and read what a build of them needs.

    targets: as `dvc repro` takes them; without any, all stages. root: the project of which this is a copy. Raises InputError,
    DvcFault, and DvcException where `check` fails.
    """
    from dvc.repo import Repo

    with Repo(".") as repo:
        project, everything, forecasts = _read()
        wanted = _closure(_stages(repo, targets, project), makers_of(project.graph))
        if FIRST in wanted and forecasts[FIRST].action != "up to date":
            repo.reproduce(FIRST, single_item=True, no_commit=True)
            with committing(root):
                repo.commit(FIRST)
            project, everything, forecasts = _read()
        present = {name: entry for name, entry in everything.items() if name in wanted}
        unkept = frozenset(name for name in present if not _is_kept(project, name))
        runs = any(forecasts[name].action == "runs" for name in present)
        seconds = times(plan_of(project, everything), list(present)) if runs else {}
        tree = _archive(repo, present) if runs else b""
        makers, memory = makers_of(present), peaks(list(present), read_timings())
    return Snapshot(project.lock, present, outputs_of_check(), makers, unkept, seconds, memory, cache_folder(), tree)


def _read() -> tuple[Project, Lock, dict[str, Forecast]]:
    """The project, all its stages as they are now, and what DVC would do with each."""
    project = read_project()
    present = read_present(project, list(project.graph))
    return project, present, predict(project.lock, present)


def is_edited(snapshot: Snapshot) -> bool:
    """Whether a file that the stages read has changed since."""
    from dvc.repo import Repo

    with Repo(".") as repo:
        return _archive(repo, snapshot.present) != snapshot.tree


def _stages(repo: "Repo", targets: Iterable[str], project: Project) -> list[str]:
    from cantica.commands.dvc.project import dvc_faults

    if not targets:
        return list(project.graph)
    with dvc_faults():
        found = [stage for target in targets for stage in repo.stage.collect(target)]
    return [stage.name for stage in found if getattr(stage, "name", None) in project.graph]


def _closure(names: list[str], makers: dict[str, list[str]]) -> set[str]:
    """The named stages and all before them."""
    found: set[str] = set()
    left = list(names)
    while left:
        if (name := left.pop()) not in found:
            found.add(name)
            left += makers[name]
    return found


def _is_kept(project: Project, name: str) -> bool:
    """Whether DVC's run cache keeps the runs of a stage."""
    outs = project.stages[name].outs
    return not any(out.persist or not (out.use_cache or out.is_metric or out.is_plot) for out in outs)


def _archive(repo: "Repo", present: Lock) -> bytes:
    """The files that stages read and no stage makes, as DVC sees them, in a tar archive without times and owners."""
    made = {path for entry in present.values() for path in outputs(entry)}
    paths = {path for entry in present.values() for path in dependencies(entry) if not _inside(path, made)} | {*ALWAYS}
    files = sorted({file for path in paths for file in _files(repo, path) if not _inside(file, made)})
    archive = io.BytesIO()

    def bare(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.mtime, info.uid, info.gid, info.uname, info.gname = 0, 0, 0, "", ""
        return info

    with tarfile.open(fileobj=archive, mode="w") as tar:
        for file in files:
            tar.add(file, recursive=False, filter=bare)
    return gzip.compress(archive.getvalue(), compresslevel=1, mtime=0)


def _inside(path: str, folders: set[str]) -> bool:
    return any(within(path, folder) for folder in folders)


def _files(repo: "Repo", path: str) -> list[str]:
    """The files at a path, or below it, that DVC does not ignore."""
    if not Path(path).is_dir():
        return [path] if Path(path).exists() else []
    found = repo.dvcignore.walk(repo.fs, str(Path(path).resolve()))
    return [str((Path(root) / name).relative_to(Path.cwd())) for root, _, names in found for name in names]
