"""Write a file or folder completely or not at all: write it under a temporary name, then rename it."""

import json
import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

WEEK = 7 * 24 * 60 * 60  # seconds


@contextmanager
def whole_file(path: Path, shared: bool = False) -> Iterator[Path]:
    """Yield a temporary path to write to. The file moves to `path` when the block succeeds, and is removed when it fails.

    shared: whether another thread or process may write the same file at the same time.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = f".{os.getpid()}-{threading.get_ident()}" if shared else ""
    partial = path.with_name(f".{path.name}{writer}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder to fill. It replaces the folder at `path` when the block succeeds."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        shutil.rmtree(path, ignore_errors=True)
        os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove_unused(folder: Path) -> None:
    """Remove what is in a folder and was not used for a week, by the times at which it changed."""
    for path in folder.glob("*"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - WEEK:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def write_text(path: Path, text: str, shared: bool = False) -> None:
    """Write UTF-8 text with Unix line endings on every platform."""
    with whole_file(path, shared) as partial:
        partial.write_bytes(text.encode("utf-8"))


def write_json(path: Path, document: object, shared: bool = False) -> None:
    """Write an indented JSON document; keys keep their order."""
    write_text(path, as_json(document), shared)


def as_json(document: object) -> str:
    """Return an indented JSON document as text; keys keep their order."""
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def write_jsonl(path: Path, records: Iterable, shared: bool = False) -> int:
    """Write records as JSON Lines, one at a time, and return how many there were."""
    number = 0
    with whole_file(path, shared) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        for number, record in enumerate(records, 1):  # noqa: B007
            file.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
    return number
