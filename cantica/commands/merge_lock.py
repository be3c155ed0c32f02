"""`cantica merge-lock`: merge dvc.lock stage by stage, as a merge driver of git."""

import sys
from pathlib import Path

from cantica.commands.dvc.records import Lock
from cantica.commands.git import git, must
from cantica.core.errors import InputError, Problem

NAME = "cantica-lock"  # of the driver, for git
ATTRIBUTE = f"dvc.lock merge={NAME}"


def merge_lock(base: Path, ours: Path, theirs: Path) -> str:
    """Merge three versions of dvc.lock into the file of `ours`. Returns what was left out, or "".

    Raises InputError where one of them cannot be read: then git reports a conflict, and dvc.lock stays as it is.
    """
    from dvc.utils.serialize import dump_yaml

    sides = {"the commit before both branches": base, "this branch": ours, "the other branch": theirs}
    stages, left_out = merged(*(_stages(file, side) for side, file in sides.items()))
    dump_yaml(str(ours), {"schema": "2.0", "stages": stages})
    return f"dvc.lock: `dvc repro` builds or restores {', '.join(left_out)}" if left_out else ""


def _stages(file: Path, side: str) -> Lock:
    from dvc.utils.serialize import YAMLFileCorruptedError, parse_yaml

    try:
        content = parse_yaml(file.read_text(encoding="utf-8"), "dvc.lock") or {}
    except (YAMLFileCorruptedError, UnicodeDecodeError) as error:
        got = " ".join(str(error.__cause__ or error).split())
    else:
        if isinstance(content, dict) and isinstance(stages := content.get("stages") or {}, dict):
            return stages
        got = "no mapping of stages"
    hint = "git show COMMIT:dvc.lock > dvc.lock takes it from a commit; dvc repro then builds or restores the rest"
    raise InputError(Problem(f"dvc.lock of {side}", "", got, "a file as DVC writes it", hint))


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
