"""Are the outputs on the disk, byte for byte, what DVC believes them to be?"""

import os
from pathlib import Path

from cantica.commands.dvc.bytes import Bytes
from cantica.commands.dvc.cache import cache_folder
from cantica.commands.dvc.project import read_present, read_project
from cantica.commands.dvc.records import outputs
from cantica.commands.text import short
from cantica.core.errors import Problem


def altered_bytes() -> list[Problem]:
    """A Problem for each file of an output that has other bytes than dvc.lock says, although DVC takes it for unaltered."""
    if not Path("dvc.lock").exists():
        return []
    project = read_project()
    read = Bytes(cache_folder())
    found = [
        _problem(file, got, right, stage, read.cached(right))
        for stage, entry in read_present(project, list(project.graph)).items()
        for out, md5 in outputs(entry).items()
        if md5 == outputs(project.lock.get(stage, {})).get(out) and Path(out).exists()
        for file, (got, right) in read.wrong(out, md5).items()
    ]
    read.keep()
    return found


def _problem(file: str, got: str, right: str, stage: str, cached: Path | None) -> Problem:
    """cached: the file of DVC's cache that was altered too, or None."""
    hint = f"remove it, and `dvc repro {stage}` restores it"
    if cached:
        hint = f"remove it and {os.path.relpath(cached)}, which was altered too; `dvc repro {stage}` makes it anew"
    expected = f"{short(right)}, as in dvc.lock; DVC did not notice, for it trusts times, sizes and read-only files"
    return Problem(file, "", f"bytes with the MD5 {short(got)}", expected, hint)
