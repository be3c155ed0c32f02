"""The colours and axes of charts that are drawn by hand."""

import pytest

from cantica.reporting.figures import axis, stroke


def test_no_two_lines_of_a_chart_look_alike():
    assert len({stroke(number) for number in range(24)}) == 24


def test_the_axis_reaches_a_tenth_beyond_the_curve():
    assert axis([3.0, 1.0, 2.0]) == pytest.approx((0.8, 3.2))
    assert axis([3.0]) == pytest.approx((2.9, 3.1))
