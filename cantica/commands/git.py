"""The git commands that `cantica` needs."""

import subprocess
from pathlib import Path

from cantica.core.errors import InputError, Problem
from cantica.core.params import FILE


def git(*arguments: str, folder: Path | str = ".") -> str | None:
    """The output of a git command; None if it fails."""
    done = _run(arguments, folder)
    return done.stdout if done.returncode == 0 else None


def must(*arguments: str, folder: Path | str = ".") -> str:
    """The output of a git command. Raises InputError with git's message if it fails."""
    done = _run(arguments, folder)
    if done.returncode:
        raise InputError(Problem(f"git {arguments[0]}", "", done.stderr.strip(), "a git command that succeeds"))
    return done.stdout


def contents(names: list[str]) -> list[bytes]:
    """The contents of git's objects, such as HEAD:./params.yaml; b"" for those that do not exist."""
    asked = "".join(f"{name}\n" for name in names).encode()
    rest = subprocess.run(["git", "cat-file", "--batch"], input=asked, capture_output=True, check=True).stdout
    found = []
    for _ in names:
        first, _, rest = rest.partition(b"\n")
        size = -1 if first.endswith(b"missing") else int(first.split()[-1])
        found.append(rest[: max(size, 0)])
        rest = rest[size + 1 :]
    return found


def head() -> tuple[str, str]:
    """(hash of HEAD, its params.yaml). Raises InputError if there is no such commit."""
    revision, params = git("rev-parse", "--verify", "--quiet", "HEAD"), git("show", f"HEAD:{FILE}")
    if revision is None or params is None:
        raise InputError(Problem("HEAD", "", f"no commit that holds {FILE}", "a commit: variants are built on HEAD"))
    return revision.strip(), params


def _run(arguments: tuple[str, ...], folder: Path | str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-c", "core.quotePath=false", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8")
