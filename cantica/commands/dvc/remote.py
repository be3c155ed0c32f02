"""What a project shares through its DVC remote: outputs of stages, and the runs that made them."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc_data.hashfile.db import HashFileDB


class RemoteFault(Exception):
    """A DVC remote did not do what was asked of it. The text says why."""


class Remote:
    """The default remote of the project in a folder. Its methods raise RemoteFault.

    What was pushed or pulled once is not asked for again.
    """

    def __init__(self, folder: Path):
        self._folder = folder.resolve()
        self._there: set[str] = set()

    def push(self, hashes: Iterable[str]) -> None:
        """Copy files and folders of the cache to the remote."""
        with self._faults():
            new = self._with_files(hashes) - self._there
        if new:
            self._transfer(new, push=True)
            self._there |= new

    def pull(self, hashes: Iterable[str]) -> None:
        """Copy files and folders from the remote to the cache."""
        wanted = set(hashes)
        self.pull_lists(wanted)
        if missing := {md5 for md5 in self._with_files(wanted) if not self._cache.exists(md5)}:
            self._transfer(missing, push=False)
        self._there |= wanted

    def pull_lists(self, hashes: Iterable[str]) -> None:
        """Copy the lists of files of folders from the remote to the cache, without the files."""
        if missing := {md5 for md5 in hashes if md5.endswith(".dir") and not self._cache.exists(md5)}:
            self._transfer(missing, push=False)

    def has(self, hashes: Iterable[str]) -> bool:
        """Whether the remote has all these files and folders. Lists of folders are copied to the cache."""
        lists = [md5 for md5 in hashes if md5.endswith(".dir")]
        with self._faults():
            if lists and len(set(self._objects.oids_exist(lists))) < len(lists):
                return False
        self.pull_lists(lists)
        with self._faults():
            files = sorted(self._with_files(hashes))
            return not files or set(self._objects.oids_exist(files)) == set(files)

    def runs(self) -> set[str]:
        """The keys of the runs that the remote has."""
        with self._faults():
            fs, folder = self._runs.fs, self._runs.fs.join(self._runs.path, "runs")
            return {fs.parts(file)[-2] for file in fs.find(folder)} if fs.exists(folder) else set()

    def push_run(self, key: str) -> None:
        """Copy the runs with a key to the remote. What they made has to be there already."""
        folder = Path(self._repo.cache.local_cache_dir, "runs", key[:2], key)
        with self._faults():
            fs = self._runs.fs
            for file in folder.iterdir():
                fs.put_file(str(file), fs.join(self._runs.path, "runs", key[:2], key, file.name))

    def pull_run(self, key: str) -> bool:
        """Copy the runs with a key to the cache, and return whether the remote has any."""
        with self._faults():
            fs, folder = self._runs.fs, self._runs.fs.join(self._runs.path, "runs", key[:2], key)
            found = list(fs.find(folder)) if fs.exists(folder) else []
            for file in found:
                target = Path(self._repo.cache.local_cache_dir, "runs", key[:2], key, fs.name(file))
                target.parent.mkdir(parents=True, exist_ok=True)
                # DVC takes every file beside a run for a run, and every file in a folder of runs for a folder.
                partial = Path(self._repo.cache.local_cache_dir, f".{key}-{os.getpid()}.partial")
                fs.get_file(file, str(partial))
                partial.replace(target)
        return bool(found)

    @cached_property
    def _repo(self) -> "Repo":
        from dvc.repo import Repo

        return Repo(str(self._folder))

    @property
    def _cache(self) -> "HashFileDB":
        return self._repo.cache.local

    @cached_property
    def _objects(self) -> "HashFileDB":
        return self._repo.cloud.get_remote_odb(None, "push")

    @cached_property
    def _runs(self) -> "HashFileDB":
        """Where the remote has runs: beside the folder of objects."""
        return self._repo.cloud.get_remote_odb(None, "push --run-cache", hash_name="md5-dos2unix")

    def _with_files(self, hashes: Iterable[str]) -> set[str]:
        """The hashes, and those of the files of each folder among them, whose list the cache has."""
        found = set(hashes)
        for md5 in [md5 for md5 in found if md5.endswith(".dir")]:
            found |= {item["md5"] for item in json.loads(Path(self._cache.oid_to_path(md5)).read_text(encoding="utf-8"))}
        return found

    def _transfer(self, hashes: set[str], push: bool) -> None:
        from dvc_data.hashfile.hash_info import HashInfo
        from dvc_data.hashfile.transfer import transfer

        with self._faults():
            source, target = (self._cache, self._objects) if push else (self._objects, self._cache)
            failed = transfer(source, target, [HashInfo("md5", md5) for md5 in hashes], cache_odb=self._cache).failed
            missing = [str(own.value) for own in failed] or [md5 for md5 in sorted(hashes) if not target.exists(md5)]
        if missing:
            raise RemoteFault(f"{self._name}: not copied: {', '.join(missing[:3])}{' …' if missing[3:] else ''}")

    @property
    def _name(self) -> str:
        return f"DVC remote {self._repo.config['core'].get('remote') or '(none is set)'}"

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Ask the remote itself, and turn every error of its library into RemoteFault: each kind of remote has its own."""
        try:
            for store in (self._objects, self._runs):
                store.fs.fs.invalidate_cache()  # others write there too
            yield
        except RemoteFault:
            raise
        except Exception as error:
            raise RemoteFault(f"{self._name}: {error}") from error
