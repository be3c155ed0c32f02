"""Remove half-written files of DVC that a killed build left, and that would stop the next build."""

import os
from pathlib import Path

from cantica.commands.dvc.cache import run_cache


def mend(root: Path) -> list[str]:
    """Remove half-written files and return their names. DVC restores their content from its run cache.

    DVC writes dvc.lock and .dvc/tmp/rwlock in place. It moves an entry of its run cache into a folder that it made before; if
    it is killed in between, the folder stays empty, and every later build of that stage fails.
    """
    runs = run_cache(root)
    for file in runs.parent.glob(".*.partial"):
        file.unlink(missing_ok=True)
    written = (root / "dvc.lock", root / ".dvc/tmp/rwlock", *runs.glob("*/*/*"))
    broken = [file for file in written if file.exists() and _is_truncated(file)]
    for file in broken:
        file.unlink()
    empty = [folder for folder in runs.glob("*/*") if not any(folder.iterdir())]
    for folder in empty:
        folder.rmdir()
    return [os.path.relpath(path, root) for path in [*broken, *empty]]


def _is_truncated(file: Path) -> bool:
    """Whether a file's last byte is missing: YAML ends in a line end, the JSON of rwlock in a bracket."""
    return not file.read_bytes().endswith(b"}" if file.name == "rwlock" else b"\n")
