"""Sums of rows: their order is written down, so it is the same wherever they are compiled into."""

from functools import reduce

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from cantica.engine.backend.cpu.sums import LANES, add_up, dot, dot_3, greatest

SUMS = [njit("f4(f4[::1])")(lambda a: add_up(a)), njit("f4(f4[::1], f4[::1])")(lambda a, b: dot(a, b))]
SUMS.append(njit("f4(f4[::1], f4[::1], f4[::1])")(lambda a, b, c: dot_3(a, b, c)))
GREATEST = njit("f4(f4[::1])")(lambda a: greatest(a))


def in_order(terms: np.ndarray) -> np.float32:
    """Add up in LANES sums, add these in halves, and add the rest, which has a sum of its own."""
    whole = len(terms) // LANES * LANES
    lanes = reduce(np.add, terms[:whole].reshape(-1, LANES), np.zeros(LANES, np.float32))
    while len(lanes) > 1:
        lanes = lanes[: len(lanes) // 2] + lanes[len(lanes) // 2 :]
    return lanes[0] + reduce(np.add, terms[whole:], np.float32(0))


@given(st.integers(1, 3), st.integers(0, 300), st.integers(0, 2**32 - 1))
def test_terms_are_added_in_the_order_that_is_written_down(rows, length, seed):
    found = np.random.default_rng(seed).normal(size=(rows, length)).astype(np.float32)
    assert SUMS[rows - 1](*found) == in_order(reduce(np.multiply, found))


@given(st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_the_greatest_number_of_a_row(length, seed):
    row = np.random.default_rng(seed).normal(size=length).astype(np.float32) - np.float32(9)
    assert GREATEST(row) == row.max()
