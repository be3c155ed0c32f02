"""Outputs are hashed from their bytes, and again only if a file may have changed."""

import hashlib
import json
import os
from pathlib import Path

import pytest

import cantica.commands.dvc.bytes
from cantica.commands.dvc.bytes import Bytes
from cantica.commands.dvc.records import folder_hash


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@pytest.fixture
def folder(tmp_path, monkeypatch) -> str:
    """A folder `out` with two files, which the cache knows. Returns its hash."""
    monkeypatch.chdir(tmp_path)
    files = {"a": md5(b"one"), "b/c": md5(b"two")}
    for name, content in (("a", b"one"), ("b/c", b"two")):
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_bytes(content)
    whole = folder_hash(files)
    listed = tmp_path / "cache/files/md5" / whole[:2] / whole[2:]
    listed.parent.mkdir(parents=True)
    listed.write_text(json.dumps([{"md5": own, "relpath": name} for name, own in files.items()]))
    return whole


def test_the_file_in_a_folder_that_has_other_bytes_is_named(folder):
    assert Bytes(Path("cache")).wrong("out", folder) == {}
    Path("out/b/c").write_bytes(b"too")
    assert Bytes(Path("cache")).wrong("out", folder) == {"out/b/c": (md5(b"too"), md5(b"two"))}
    assert list(Bytes(Path("elsewhere")).wrong("out", folder)) == ["out"]  # without the cache, only the folder is known
    assert Bytes(Path("cache")).wrong("out/a", md5(b"one")) == {}
    assert Bytes(Path("cache")).wrong("out/a", md5(b"won")) == {"out/a": (md5(b"one"), md5(b"won"))}


def test_a_file_is_read_again_only_if_it_may_have_changed(folder, monkeypatch):
    file = Path("out/a")
    read = Bytes(Path("cache"))
    assert read.md5(file) == md5(b"one")
    read.keep()
    before = file.stat()
    with monkeypatch.context() as without:
        without.setattr(cantica.commands.dvc.bytes.hashlib, "file_digest", None)
        assert Bytes(Path("cache")).md5(file) == md5(b"one")
    file.write_bytes(b"won")  # of the same size, and then of the same time
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert Bytes(Path("cache")).md5(file) == md5(b"won")


@pytest.mark.parametrize("garbage", ["", "[1]", "null"])
def test_garbage_in_place_of_what_is_kept_is_ignored(folder, garbage):
    Path(".cache").mkdir()
    Path(".cache/hashes.json").write_text(garbage)
    assert Bytes(Path("cache")).wrong("out", folder) == {}
