"""Files and folders are written completely or not at all: a block that fails leaves the old ones and nothing else."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cantica.core.documents import read_json, read_jsonl
from cantica.core.files import whole_file, whole_folder, write_json, write_jsonl, write_text


class Stopped(Exception):
    """What a test raises inside a block."""


def tree(folder: Path) -> dict[str, str]:
    """Every file under a folder, hidden ones too, with its text."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_file_appears_when_the_block_ends_and_not_before(tmp_path):
    target = tmp_path / "deep" / "a.txt"
    with whole_file(target) as partial:
        partial.write_text("half")
        assert not target.exists()
        partial.write_text("whole")
    assert tree(tmp_path) == {"deep/a.txt": "whole"}


def test_a_file_does_not_appear_when_the_block_fails(tmp_path):
    with pytest.raises(Stopped), whole_file(tmp_path / "a.txt") as partial:
        partial.write_text("half")
        raise Stopped
    assert list(tmp_path.iterdir()) == []


def test_a_file_keeps_its_content_when_the_block_fails(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(Stopped), whole_file(tmp_path / "a.txt") as partial:
        partial.write_text("half")
        raise Stopped
    assert tree(tmp_path) == {"a.txt": "old"}


def test_a_file_is_replaced(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with whole_file(tmp_path / "a.txt") as partial:
        partial.write_text("new")
    assert tree(tmp_path) == {"a.txt": "new"}


def test_a_block_that_writes_nothing_is_an_error_and_keeps_the_old_file(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "a.txt"):
        pass
    assert tree(tmp_path) == {"a.txt": "old"}


def test_an_interrupted_block_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "model") as partial:
        (partial / "a.txt").write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_folder_appears_when_the_block_ends_and_not_before(tmp_path):
    target = tmp_path / "deep" / "model"
    with whole_folder(target) as partial:
        (partial / "a.txt").write_text("whole")
        assert not target.exists()
    assert tree(tmp_path) == {"deep/model/a.txt": "whole"}


def test_a_folder_keeps_its_content_when_the_block_fails(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/a.txt").write_text("old")
    with pytest.raises(Stopped), whole_folder(tmp_path / "model") as partial:
        (partial / "a.txt").write_text("half")
        raise Stopped
    assert tree(tmp_path) == {"model/a.txt": "old"} and [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    (tmp_path / "model/inner").mkdir(parents=True)
    (tmp_path / "model/inner/stale.txt").write_text("old")
    with whole_folder(tmp_path / "model") as partial:
        (partial / "a.txt").write_text("new")
    assert tree(tmp_path) == {"model/a.txt": "new"} and not (tmp_path / "model/inner").exists()


def test_leftovers_of_a_killed_run_do_not_get_into_the_folder(tmp_path):
    (tmp_path / ".model.partial").mkdir()
    (tmp_path / ".model.partial/stale.txt").write_text("from a run that was killed")
    with whole_folder(tmp_path / "model") as partial:
        (partial / "a.txt").write_text("new")
    assert tree(tmp_path) == {"model/a.txt": "new"}


def test_text_has_unix_line_ends_and_utf_8(tmp_path):
    write_text(tmp_path / "a.txt", "née\nlast\n")
    assert (tmp_path / "a.txt").read_bytes() == "née\nlast\n".encode()


def test_json_keeps_the_order_of_keys_and_letters_as_they_are(tmp_path):
    write_json(tmp_path / "a.json", {"b": "é", "a": [1]})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "b": "é",\n  "a": [\n    1\n  ]\n}\n'


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_does_not_have_is_refused_and_writes_nothing(tmp_path, number):
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"loss": number})
    with pytest.raises(ValueError):
        write_jsonl(tmp_path / "a.jsonl", [{"loss": 1.0}, {"loss": number}])
    assert list(tmp_path.iterdir()) == []


# str.splitlines, by which lines are read, knows more line ends than JSON escapes.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(TEXT, TEXT, max_size=3), max_size=4))
def test_records_are_read_back_as_they_were_written(tmp_path_factory, records):
    folder = tmp_path_factory.mktemp("records")
    write_jsonl(folder / "a.jsonl", records)
    write_json(folder / "a.json", records)
    assert read_jsonl(folder / "a.jsonl") == read_json(folder / "a.json") == records
