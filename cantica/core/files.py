"""Write outputs whole or not at all: under another name first, then renamed into place."""

import json
import os
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path, shared: bool = False):
    """Yield a path to write to; the file appears at `path` when the block ends well, and not at all when it fails.

    shared: whether another thread or process may be writing the same file.
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
def whole_folder(path: Path):
    """Yield an empty folder to fill; it becomes `path`, in place of what was there, when the block ends well."""
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


def write_text(path: Path, text: str, shared: bool = False) -> None:
    """Write UTF-8 text with Unix line ends, on every platform."""
    with whole_file(path, shared) as partial:
        partial.write_bytes(text.encode("utf-8"))


def write_json(path: Path, document, shared: bool = False) -> None:
    """Write an indented JSON document, keys in the order given."""
    write_text(path, as_json(document), shared)


def as_json(document) -> str:
    """The text of an indented JSON document, keys in the order given."""
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def write_jsonl(path: Path, records) -> int:
    """Write records as JSON Lines, one at a time as they come, and return their number."""
    number = 0
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        for number, record in enumerate(records, 1):  # noqa: B007
            file.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
    return number
