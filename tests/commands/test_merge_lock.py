"""dvc.lock of two branches is merged stage by stage, by git too."""

import pytest

from cantica.commands.merge_lock import merge_lock, merged
from cantica.core.errors import InputError
from tests.support.projects import BIN, IDENTITY, commit, ok


def entry(md5: str) -> dict:
    return {"cmd": "x", "deps": [{"path": "in", "md5": md5}], "outs": [{"path": "out", "md5": md5}]}


def lock(stages: dict[str, str]) -> dict[str, dict]:
    return {name: entry(md5) for name, md5 in stages.items()}


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "stages", "left_out"),
    [
        ({"a": "1"}, {"a": "1"}, {"a": "1"}, {"a": "1"}, []),
        ({"a": "1", "b": "1"}, {"a": "2", "b": "1"}, {"a": "1", "b": "2"}, {"a": "2", "b": "2"}, []),
        ({"a": "1", "b": "1"}, {"a": "2", "b": "1"}, {"a": "3", "b": "1"}, {"b": "1"}, ["a"]),
        ({"a": "1"}, {"a": "2"}, {"a": "2"}, {"a": "2"}, []),
        ({}, {"a": "1"}, {"b": "1"}, {"a": "1", "b": "1"}, []),
        ({"a": "1", "b": "1"}, {"b": "1"}, {"a": "1"}, {}, []),
        ({"a": "1"}, {}, {"a": "2"}, {}, ["a"]),
    ],
    ids=["nothing", "one side each", "both", "both alike", "new ones", "removed by either", "removed and built"],
)
def test_a_stage_that_one_side_built_is_taken(base, ours, theirs, stages, left_out):
    assert merged(lock(base), lock(ours), lock(theirs)) == (lock(stages), left_out)


def test_git_merges_with_it_where_it_was_set_up(tmp_path):
    from dvc.utils.serialize import dump_yaml, load_yaml

    ok(tmp_path, "git", "init", "--quiet")
    (tmp_path / "dvc.yaml").touch()
    file = str(tmp_path / "dvc.lock")

    def built(stages: dict[str, str]) -> None:
        dump_yaml(file, {"schema": "2.0", "stages": lock(stages)})
        commit(tmp_path, "Build")

    built({"a": "1", "b": "1", "c": "1"})
    ok(tmp_path, "git", "switch", "--quiet", "--create", "other")
    built({"a": "2", "b": "1", "c": "2", "d": "2"})
    ok(tmp_path, "git", "switch", "--quiet", "-")
    built({"a": "1", "b": "3", "c": "3"})
    for _ in range(2):
        assert "stage by stage" in ok(tmp_path, str(BIN / "cantica"), "merge-lock", "--set-up")
    assert (tmp_path / ".git/info/attributes").read_text().count("dvc.lock") == 1
    ok(tmp_path, "git", *IDENTITY, "merge", "--quiet", "--no-edit", "other")
    assert load_yaml(file)["stages"] == lock({"a": "2", "b": "3", "d": "2"})
    assert ok(tmp_path, "git", "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"stages:\n<<<<<<< ours\n  a: {}\n", "line 2"),
        (b"stages: [a]", "no mapping"),
        (b"a", "no mapping"),
        (b"\xff", "can't decode"),
    ],
)
def test_a_lock_that_cannot_be_read_stays_as_it_is(content, got, tmp_path):
    files = [tmp_path / name for name in ("base", "ours", "theirs")]
    for file in files:
        file.write_text("stages: {}")
    files[1].write_bytes(content)
    with pytest.raises(InputError, match=f"(?s)dvc.lock of this branch.*{got}"):
        merge_lock(*files)
    assert files[1].read_bytes() == content
