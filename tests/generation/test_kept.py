"""The answers of a sample: generated in parts, kept on disk, and never generated twice."""

import os
import time
from pathlib import Path

import pytest

import cantica.engine.model  # noqa: F401, imported before the hash of the code that is loaded
from cantica.dataset.answers import asked_of
from cantica.generation import kept
from cantica.generation.kept import kept_answers
from tests.support.examples import EXAMPLES

SETTINGS = {"samples": 3, "seed": 1, "temperature": 1, "max_tokens": 5, "batch_size": 1}
VERSIONS = {"mlx": "1"}


@pytest.fixture
def answers(tiny_base, tiny_model, tmp_path, monkeypatch):
    """A function: (answers, how often the model was loaded), for a sample with changed settings."""
    monkeypatch.setattr(kept, "FOLDER", tmp_path / "samples")

    def of(base: Path = tiny_base, versions: dict = VERSIONS, sample: str = "own", load=tiny_model, **changes):
        loaded = []
        settings = SETTINGS | changes
        asked = asked_of(sample, EXAMPLES[:3], "base", settings)
        found = kept_answers(sample, asked, settings, versions, [base], lambda: loaded.append(1) or load())
        return found, len(loaded)

    return of


def parts(folder: Path, sample: str = "own") -> list[Path]:
    return sorted(folder.glob(f"samples/{sample}.*/*"))


def test_answers_that_are_on_disk_load_no_model(answers, tmp_path):
    first, loaded = answers()
    assert loaded == 1 and len(first) == 9 and len({answer["answer"] for answer in first}) > 3
    assert [path.name for path in parts(tmp_path)] == ["0000000", "0000004", "0000008"]
    assert answers() == (first, 0)
    assert answers(keep={"pattern": "x"}) == (first, 0), "filters do not change what the author says"


@pytest.mark.parametrize("damage", ["missing", "half", "one byte"])
def test_an_interrupted_or_damaged_part_is_generated_again_with_the_same_answers(answers, tmp_path, damage):
    first, _ = answers()
    part = parts(tmp_path)[1]
    content = part.read_bytes()
    if damage == "missing":
        part.unlink()
    else:
        part.write_bytes(content[: len(content) // 2] if damage == "half" else content[:-9] + b"x" + content[-8:])
    assert answers() == (first, 1)
    assert part.read_bytes() == content
    assert answers() == (first, 0)


def test_whatever_the_answers_depend_on_makes_them_anew(answers, tmp_path, tiny_base):
    answers()
    changed = tmp_path / "base"
    changed.mkdir()
    (changed / "config.json").write_text("{}")
    others = [{"temperature": 0.5}, {"top_p": 0.9}, {"seed": 2}, {"max_tokens": 4}, {"batch_size": 2}, {"system": "Be kind."}]
    for change in [*others, {"repetition_penalty": 1.5}, {"versions": {"mlx": "2"}}, {"base": changed}, {"sample": "other"}]:
        assert answers(**change)[1] == 1, change
    assert answers()[1] == 0


def test_answers_that_nobody_used_for_a_week_are_removed(answers, tmp_path):
    answers()
    answers(sample="old")
    [folder] = (tmp_path / "samples").glob("old.*")
    long_ago = time.time() - 8 * 24 * 60 * 60
    os.utime(folder, (long_ago, long_ago))
    answers()
    assert not folder.exists() and parts(tmp_path)
