"""SHA-256 pins of files and folders."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from cantica.core.errors import InputError, Problem


def sha256_of_file(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_folder(folder: Path, patterns: Iterable[str]) -> str:
    """Return the SHA-256 of a text that lists the hashes of the folder's files that match a pattern.

    The text has a line "<sha256>  <name>" for each file, sorted by name. In the shell: `sha256sum <files in order> |
    sha256sum`. Files in subfolders are not included.
    """
    names = sorted({file.name for pattern in patterns for file in Path(folder).glob(pattern) if file.is_file()})
    lines = "".join(f"{sha256_of_file(Path(folder, name))}  {name}\n" for name in names)
    return hashlib.sha256(lines.encode()).hexdigest()


def require_sha256(found: str, expected: str, what: str, key: str) -> None:
    """Raise InputError if the pin in params.yaml differs from the hash that was found."""
    if found != expected:
        hint = "if this is the intended model, write the hash that was found into params.yaml"
        raise InputError(Problem("params.yaml", key, f"{what} with sha256 {found}", f"sha256 {expected}", hint))
