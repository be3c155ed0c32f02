"""Git, as far as the `cantica` command needs it."""

import subprocess
from pathlib import Path

from cantica.core.errors import InputError, Problem
from cantica.core.params import FILE


def git(*arguments: str, folder: Path | str = ".") -> str | None:
    """What a git command prints; None where it fails."""
    done = _run(arguments, folder)
    return done.stdout if done.returncode == 0 else None


def must(*arguments: str, folder: Path | str = ".") -> str:
    """What a git command prints. Raises InputError with what git says where it fails."""
    done = _run(arguments, folder)
    if done.returncode:
        raise InputError(Problem(f"git {arguments[0]}", "", done.stderr.strip(), "a git command that succeeds"))
    return done.stdout


def contents(names: list[str]) -> list[bytes]:
    """What git's objects hold, such as HEAD:./params.yaml; nothing for those that are not there."""
    asked = "".join(f"{name}\n" for name in names).encode()
    told = subprocess.run(["git", "cat-file", "--batch"], input=asked, capture_output=True, check=True).stdout
    found = []
    for _ in names:
        first, _, told = told.partition(b"\n")
        size = -1 if first.endswith(b"missing") else int(first.split()[-1])
        found.append(told[: max(size, 0)])
        told = told[size + 1 :]
    return found


def head() -> tuple[str, str]:
    """(the hash of HEAD, its params.yaml). Raises InputError where there is no such commit."""
    revision, params = git("rev-parse", "--verify", "--quiet", "HEAD"), git("show", f"HEAD:{FILE}")
    if revision is None or params is None:
        raise InputError(Problem("HEAD", "", f"no commit that holds {FILE}", "a commit: variants are built on HEAD"))
    return revision.strip(), params


def _run(arguments: tuple[str, ...], folder: Path | str) -> subprocess.CompletedProcess:
    command = ["git", "-c", "core.quotePath=false", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8")
