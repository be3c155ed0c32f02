"""What frozen blocks give is kept, and nothing that is measured differs by it."""

import pytest

from cantica.engine.lora import LoraShape
from cantica.scoring import frozen
from cantica.scoring.score import mean_logprobs
from tests.support.examples import EXAMPLES

SHAPE = LoraShape(1, 4, 2.0)  # of the tiny model's two blocks, the last


@pytest.fixture
def measured(adapted, encoded, tiny_base, tmp_path, monkeypatch):
    """A function that scores the examples with an adapter drawn from a seed, with what is kept or without."""
    monkeypatch.chdir(tmp_path)

    def measure(seed: int = 1, remembers: bool = True, versions: str = "1") -> list[float]:
        model, _ = adapted(SHAPE, seed=seed)
        states = frozen.FrozenStates(model, SHAPE, tiny_base, versions) if remembers else None
        return mean_logprobs(model, encoded(), 1, states)

    return measure


def kept() -> list:
    return sorted(file for file in frozen.FOLDER.rglob("*") if file.is_file())


def test_it_is_computed_once_for_every_adapter_and_changes_no_byte(measured):
    assert not kept()
    first = measured(1)
    files = kept()
    stamps = [file.stat().st_mtime_ns for file in files]
    assert 0 < len(files) <= len(EXAMPLES)
    assert measured(1) == first == measured(1, remembers=False)
    assert measured(2) == measured(2, remembers=False) != first
    assert [file.stat().st_mtime_ns for file in kept()] == stamps


def test_it_is_used(measured):
    first = measured()
    frozen._write(kept()[0], frozen._read(kept()[0]) * 0)
    again = measured()
    assert any(one != other for one, other in zip(first, again, strict=True))


@pytest.mark.parametrize("damage", [b"", b"garbage"])
def test_a_damaged_file_is_computed_again(measured, damage):
    first = measured()
    whole = kept()[0].read_bytes()
    kept()[0].write_bytes(whole[:-8] + damage)
    assert measured() == first
    assert kept()[0].read_bytes() == whole


def test_other_versions_use_nothing_of_it_and_leave_nothing_behind(measured):
    measured()
    files = kept()
    measured(versions="2")
    assert not set(files) & set(kept()) and len(kept()) == len(files)
