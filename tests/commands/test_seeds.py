"""Seeds that are not shown although they were built, or seem to have been."""

import pytest

from cantica.commands.experiments.seeds import left_out


@pytest.mark.parametrize(
    ("seeds", "built", "missing"),
    [
        ([1, 2, 3], [1, 2, 3], ""),
        ([6, 7, 8], [], ""),
        ([1, 2, 4], [], "3"),
        ([1, 2, 4], [1, 2, 3, 4, 7], "3 (built from the same commit), 7 (built from the same commit)"),
        ([1, 2, 5], [4], "3, 4 (built from the same commit)"),
        ([0, 42, 1337], [], ""),  # chosen at random, so nothing seems to be missing
        ([42], [], ""),
    ],
)
def test_built_seeds_and_gaps_are_named(seeds, built, missing):
    assert left_out(seeds, built) == ([f"Seeds that are not shown: {missing}."] if missing else [])
