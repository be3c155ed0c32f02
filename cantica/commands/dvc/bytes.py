"""Hashes of outputs from their bytes.

DVC does not read a file again whose time, size and inode it knows, nor a file of its cache that is read-only. Here a file is
read again unless these, and the time of its last change of any kind, are as they were. No program can set that time.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cantica.commands.dvc.records import folder_hash
from cantica.core.documents import read_json
from cantica.core.errors import InputError
from cantica.core.files import write_json

KEPT = Path(".cache/hashes.json")


class Bytes:
    """The MD5 of files by their paths. `keep` stores them for the next process. cache: the folder of DVC's cache."""

    def __init__(self, cache: Path):
        self.cache = cache
        self.known: dict[str, list] = {}
        with suppress(InputError):
            known = read_json(KEPT)
            self.known = known if isinstance(known, dict) else {}

    def md5(self, path: Path) -> str:
        """The MD5 of a file's bytes."""
        stat = path.stat()
        state = [stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
        *before, md5 = self.known.get(str(path), [""])
        if before != state:
            with path.open("rb") as opened:
                md5 = hashlib.file_digest(opened, "md5").hexdigest()
            self.known[str(path)] = [*state, md5]
        return md5

    def wrong(self, out: str, md5: str) -> dict[str, tuple[str, str]]:
        """{file: (its MD5, the right one)} of an output that does not have a hash; {} if it has."""
        path = Path(out)
        if not md5.endswith(".dir"):
            own = self.md5(path)
            return {out: (own, md5)} if own != md5 else {}
        listed = self._listed(md5)
        found = {name: self.md5(path / name) for name in listed or _files(path)}
        if folder_hash(found) == md5:
            return {}
        wrong = {f"{out}/{name}": (found[name], right) for name, right in listed.items() if found[name] != right}
        return wrong or {out: (folder_hash(found), md5)}

    def cached(self, md5: str) -> Path | None:
        """The file of the cache that is to have an MD5 and has another one, or None."""
        file = self.cache / "files/md5" / md5[:2] / md5[2:]
        return file if file.exists() and self.md5(file) != md5.removesuffix(".dir") else None

    def keep(self) -> None:
        """Store what is known of files that still exist."""
        write_json(KEPT, {path: known for path, known in self.known.items() if os.path.exists(path)}, shared=True)

    def _listed(self, md5: str) -> dict[str, str]:
        """{file in a folder: its MD5}, as the cache has it by the folder's hash; {} if it has not."""
        file = self.cache / "files/md5" / md5[:2] / md5[2:]
        if not file.exists() or self.cached(md5):
            return {}
        return {item["relpath"]: item["md5"] for item in json.loads(file.read_bytes())}


def _files(folder: Path) -> Iterable[str]:
    return (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file())
