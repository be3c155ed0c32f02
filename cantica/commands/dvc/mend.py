"""Remove what a killed build left half written and DVC would stumble over."""

import os
from pathlib import Path


def mend(root: Path) -> list[str]:
    """Remove the files whose writing was cut short, and return their names; DVC restores from its run cache what they held.

    DVC writes dvc.lock and .dvc/tmp/rwlock in place. An entry of its run cache it moves into a folder that is there already:
    killed before the move it leaves the folder empty, and no build gets past that one.
    """
    runs = _run_cache(root)
    written = (root / "dvc.lock", root / ".dvc/tmp/rwlock", *runs.glob("*/*/*"))
    cut = [file for file in written if file.exists() and _is_cut(file)]
    for file in cut:
        file.unlink()
    empty = [folder for folder in runs.glob("*/*") if not any(folder.iterdir())]
    for folder in empty:
        folder.rmdir()
    return [os.path.relpath(path, root) for path in [*cut, *empty]]


def _run_cache(root: Path) -> Path:
    """Where DVC keeps what each run of a stage read and wrote."""
    from dvc.config import Config

    return Path(Config(str(root / ".dvc"))["cache"].get("dir", root / ".dvc/cache")) / "runs"


def _is_cut(file: Path) -> bool:
    """Whether a file's last byte is missing: YAML ends in a line end, the JSON of rwlock in a bracket."""
    return not file.read_bytes().endswith(b"}" if file.name == "rwlock" else b"\n")
