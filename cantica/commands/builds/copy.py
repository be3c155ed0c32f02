"""The copies of projects that a worker keeps, in which DVC runs stages."""

import atexit
import hashlib
import io
import os
import platform
import re
import shutil
import tarfile
import tempfile
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cantica.commands.dvc.copies import SCRATCH, share_caches
from cantica.commands.dvc.records import Entry, Lock, outputs

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc.stage import PipelineStage

KEPT = 8  # copies of a worker


class Copy:
    """A copy of a project, which uses the DVC cache of the project in the worker's folder."""

    def __init__(self, folder: Path, repo: "Repo"):
        self.folder, self.repo = folder, repo
        self.stages: dict[str, PipelineStage] = {stage.name: stage for stage in repo.index.stages if hasattr(stage, "name")}

    def fetch(self, makers: Lock) -> None:
        """Bring those outputs from the cache into the copy that the records of their stages name."""
        for maker, entry in makers.items():
            fill(self.stages[maker], entry)

    def run(self, name: str, committing: AbstractContextManager) -> None:
        """Run a stage, or restore an earlier run of it; then keep its outputs in the cache, inside of `committing`."""
        stage = self.stages[name]
        with self.repo.lock:
            stage.run(no_commit=True)
            with committing:
                self.repo.stage_cache.save(stage)
                stage.commit()

    def entry(self, name: str) -> Entry:
        """The record of a stage that ran."""
        from dvc.stage.serialize import to_single_stage_lockfile

        return _plain(to_single_stage_lockfile(self.stages[name]))


def copy_of(tree: bytes) -> Copy:
    """A copy with the files of a tar archive, made now or kept since it was used last."""
    from dvc.repo import Repo

    name = hashlib.sha256(tree).hexdigest()
    copy = _copies.pop(name, None)
    if not copy:
        while len(_copies) >= KEPT:
            shutil.rmtree(_copies.pop(next(iter(_copies))).folder)
        folder = _room() / name[:16]
        shutil.rmtree(folder, ignore_errors=True)
        with tarfile.open(fileobj=io.BytesIO(tree)) as archive:
            archive.extractall(folder, filter="data")
        share_caches(Path.cwd(), folder, scm=False)
        copy = Copy(folder, Repo(str(folder)))
    _copies[name] = copy
    return copy


_copies: dict[str, Copy] = {}  # by the hash of their archive; the last one that was used at the end


@cache
def _room() -> Path:
    """The folder of this process's copies."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"worker-{platform.node()}-{os.getpid()}-", dir=SCRATCH.resolve()))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def sweep() -> None:
    """Remove the copies of workers that were killed on this machine. The stages that they ran have ended with them."""
    for folder in SCRATCH.resolve().glob(f"worker-{platform.node()}-*"):
        if _is_left(folder.name):
            shutil.rmtree(folder, ignore_errors=True)


def _is_left(name: str) -> bool:
    import psutil

    found = re.fullmatch(r".+-(\d+)-\w+", name)
    return bool(found and not psutil.pid_exists(int(found[1])))


def fill(stage: Any, entry: Entry) -> None:
    """Give a stage of DVC its record, and write those outputs from the cache that the record names."""
    from dvc.stage.loader import StageLoader

    named = outputs(entry)
    StageLoader.fill_from_lock(stage, entry)
    for out in stage.outs:
        if out.def_path in named:
            _checkout(out)


def _checkout(out: Any) -> None:
    """Write an output from the cache, also one that git tracks and the cache holds for the run cache alone."""
    uses, out.use_cache = out.use_cache, True
    try:
        out.checkout(force=True)
    finally:
        out.use_cache = uses


def _plain(value: Any) -> Any:
    """Dictionaries and lists of no other class, as they stand in dvc.lock."""
    if isinstance(value, dict):
        return {key: _plain(own) for key, own in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
