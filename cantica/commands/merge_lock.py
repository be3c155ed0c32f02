"""`cantica merge-lock`: merge dvc.lock stage by stage, as a merge driver of git."""

import sys
from pathlib import Path

from cantica.commands.dvc.records import Lock
from cantica.commands.git import git, must

NAME = "cantica-lock"  # of the driver, for git
ATTRIBUTE = f"dvc.lock merge={NAME}"


def merge_lock(base: Path, ours: Path, theirs: Path) -> str:
    """Merge three versions of dvc.lock into the file of `ours`. Returns what was left out, or ""."""
    from dvc.utils.serialize import dump_yaml, load_yaml

    files = [load_yaml(str(file)) or {} for file in (base, ours, theirs)]
    stages, left_out = merged(*(file.get("stages") or {} for file in files))
    dump_yaml(str(ours), {"schema": "2.0", "stages": stages})
    return f"dvc.lock: `dvc repro` builds or restores {', '.join(left_out)}" if left_out else ""


def merged(base: Lock, ours: Lock, theirs: Lock) -> tuple[Lock, list[str]]:
    """(the merged stages, those that are left out). Pure.

    A stage that one side built anew or removed is taken from that side. Where both built it, with different inputs, it is left
    out: then DVC restores it by its inputs, or runs it.
    """
    stages: Lock = {}
    left_out = []
    for name in dict.fromkeys([*ours, *theirs]):
        was, own, other = base.get(name), ours.get(name), theirs.get(name)
        if own == other or other == was:
            taken = own
        elif own == was:
            taken = other
        else:
            left_out.append(name)
            continue
        if taken is not None:
            stages[name] = taken
    return stages, left_out


def set_up() -> str:
    """Let git of this clone merge dvc.lock with this command. Returns what was done.

    The attribute stands in the clone and not in .gitattributes: where git knows no such driver, it would mix the lines.
    """
    if git("rev-parse", "--git-dir") is None:
        return "this is no git repository: dvc.lock is merged as any file"
    program = Path(sys.executable).with_name("cantica")
    must("config", f"merge.{NAME}.name", "dvc.lock, stage by stage")
    must("config", f"merge.{NAME}.driver", f"'{program}' merge-lock %O %A %B")
    file = Path(must("rev-parse", "--git-path", "info/attributes").strip())
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    if ATTRIBUTE not in lines:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join([*lines, ATTRIBUTE, ""]), encoding="utf-8")
    return "git merges dvc.lock of this clone stage by stage"
