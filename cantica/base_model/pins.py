"""SHA-256 pins of files and folders."""

import hashlib
from pathlib import Path

from cantica.core.errors import InputError, Problem


def sha256_of_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_folder(folder: Path, patterns) -> str:
    """SHA-256 of the lines "<sha256>  <name>" of a folder's own files that match a pattern, sorted by name.

    That is what `sha256sum <files in order> | sha256sum` prints.
    """
    names = sorted({file.name for pattern in patterns for file in Path(folder).glob(pattern) if file.is_file()})
    lines = "".join(f"{sha256_of_file(Path(folder, name))}  {name}\n" for name in names)
    return hashlib.sha256(lines.encode()).hexdigest()


def require_sha256(found: str, expected: str, what: str, key: str) -> None:
    """Raise InputError when a pin in params.yaml is not the hash that was found."""
    if found != expected:
        hint = "if this is the model that you mean, write the hash that was found into params.yaml"
        raise InputError(Problem("params.yaml", key, f"{what} with sha256 {found}", f"sha256 {expected}", hint))
