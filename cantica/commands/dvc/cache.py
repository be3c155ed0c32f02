"""DVC's cache: where it lies, what it holds, and which earlier runs of stages it remembers."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from cantica.commands.dvc.records import MISSING, UNKNOWN, Entry, dependencies, folder_hash, outputs


def cache_folder() -> Path:
    """The folder of DVC's cache."""
    from dvc.repo import Repo

    with Repo(".") as repo:
        return Path(repo.cache.local_cache_dir)


def run_cache(root: Path) -> Path:
    """The folder with what each run of a stage read and wrote, found without loading the project."""
    from dvc.config import Config

    return Path(Config(str(root / ".dvc"))["cache"].get("dir", root / ".dvc/cache")) / "runs"


def in_cache(cache: Path) -> Callable[[str], bool]:
    """A function that tells by its hash whether the cache holds a file, or a folder with all its files."""

    def has(md5: str) -> bool:
        file = cache / "files/md5" / md5[:2] / md5[2:]
        if not file.exists():
            return False
        return not md5.endswith(".dir") or all(has(item["md5"]) for item in json.loads(file.read_text()))

    return has


def part_of(cache: Path) -> Callable[[str, str], str]:
    """A function that gives the hash of a folder inside a folder, by the hash of the outer one.

    It gives UNKNOWN if the cache does not hold the outer one, and MISSING if that has no such folder.
    """

    def part(md5: str, folder: str) -> str:
        file = cache / "files/md5" / md5[:2] / md5[2:]
        if not (md5.endswith(".dir") and file.exists()):
            return UNKNOWN
        listed = {item["relpath"]: item["md5"] for item in json.loads(file.read_text())}
        inside = {path.removeprefix(f"{folder}/"): md5 for path, md5 in listed.items() if path.startswith(f"{folder}/")}
        return folder_hash(inside) if inside else MISSING

    return part


def run_key(entry: Entry) -> str:
    """The name under which the run cache keeps the runs of a stage with exactly these inputs."""
    parts = {
        "cmd": entry["cmd"],
        "deps": [{"hash": "md5", "md5": md5, "path": path} for path, md5 in sorted(dependencies(entry).items())],
        "params": entry.get("params"),
        "outs": sorted(outputs(entry)),
    }
    kept = {key: value for key, value in parts.items() if value}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def earlier_run(cache: Path, entry: Entry) -> Entry | None:
    """The last run of a stage with exactly these inputs, or None."""
    return run_of(cache, run_key(entry))


def run_of(cache: Path, key: str) -> Entry | None:
    """The last run under a name of the run cache, or None."""
    from dvc.utils.serialize import load_yaml

    runs = sorted((cache / "runs" / key[:2] / key).glob("*"), key=lambda run: run.stat().st_mtime)
    return load_yaml(str(runs[-1])) if runs else None
