"""The figures of the report: where their lines and colours go."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cantica.reporting.figures import axis, curve_lines, curve_of, curve_rows, curves_axis, polyline, shade, stroke
from cantica.reporting.measures import Measure

CURRICULUM = {step: {"after": after} for step, after in {"one": "base", "two": "one", "fork": "one", "four": "two"}.items()}
CURVE = [(5, 3.0), (10, 1.0), (20, 2.0)]


def test_iterations_count_on_along_the_tree_and_not_along_the_file():
    point = {"train_loss": 1.23456, "learning_rate": 1.0}
    trainings = {step: {"iterations": 10, "curve": [{"iteration": 4} | point]} for step in CURRICULUM}
    trainings["one"]["iterations"] = 100
    rows = curve_rows(trainings, CURRICULUM)
    assert [(row["step"], row["iteration"]) for row in rows] == [("one", 4), ("two", 104), ("fork", 104), ("four", 114)]
    assert rows[0] == {"iteration": 4, "branch": "four", "step": "one", "train_loss": 1.2346}
    assert [row["branch"] for row in rows] == ["four", "four", "fork", "four"]


def test_a_branch_of_the_curve_begins_where_it_leaves_another_and_never_goes_back():
    trainings = {
        step: {"iterations": 2, "curve": [{"iteration": n, "train_loss": 3.0 - n} for n in (1, 2)]} for step in CURRICULUM
    }
    main, fork = curve_lines(curve_rows(trainings, CURRICULUM), CURRICULUM)
    assert (main.steps, main.after, fork.steps, fork.after) == (["one", "two", "four"], "base", ["fork"], "one")
    assert main.points == [(1, 2.0), (2, 1.0), (3, 2.0), (4, 1.0), (5, 2.0), (6, 1.0)]
    assert fork.points == [(2, 1.0), (3, 2.0), (4, 1.0)] and fork.ends == {"fork": (4, 1.0)}
    assert main.ends == {"one": (2, 1.0), "two": (4, 1.0), "four": (6, 1.0)}
    assert polyline(fork.points, 600, 100, 6, 1.0, 3.0) == "200.0,100.0 300.0,50.0 400.0,100.0"


def test_a_curve_has_the_values_of_a_measure_and_the_outline_of_their_intervals():
    sure, picks = Measure("b.sure", "", {}), Measure("b.picks", "", {}, share=True)
    trajectory = {
        2: [
            (sure, {"mean": -3.0, "low": -4.0, "high": -2.0, "n": 5}),
            (picks, {"share": 0.5, "low": 0.25, "high": 0.75, "n": 4}),
        ],
        8: [(sure, {"mean": -1.0, "n": 1}), (picks, {"n": 0})],
    }
    curve = curve_of(trajectory, "b.sure")
    assert curve.line == [(2, -3.0), (8, -1.0)] and curve.band == [(2, -4.0), (8, -1.0), (8, -1.0), (2, -2.0)]
    assert curve_of(trajectory, "b.picks").line == [(2, 0.5)] and curve_of(trajectory, "b.other").line == []
    assert curves_axis([trajectory], ["b.sure"]) == axis([-4.0, -1.0])


def test_no_two_lines_of_a_chart_look_alike():
    assert len({stroke(number) for number in range(24)}) == 24


def test_a_cell_is_the_deeper_the_higher_its_value():
    assert shade(1.0, 1.0, 3.0) == "hsl(212 45% 96%)"
    assert shade(2.0, 1.0, 3.0) == "hsl(212 58% 73%)"
    assert shade(3.0, 1.0, 3.0) == "hsl(212 70% 50%)"
    assert shade(2.0, 2.0, 2.0) == "hsl(212 45% 96%)"


def test_the_axis_reaches_a_tenth_beyond_the_curve():
    assert axis([3.0, 1.0, 2.0]) == pytest.approx((0.8, 3.2))
    assert axis([3.0]) == pytest.approx((2.9, 3.1))


def test_a_line_goes_from_left_to_right_and_lower_losses_stand_lower():
    assert polyline(CURVE, 200, 120, 20, 0.8, 3.2) == "50.0,10.0 100.0,110.0 200.0,60.0"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 20), min_size=1, max_size=10))
def test_a_line_stays_within_its_box(losses):
    line = polyline(list(enumerate(losses, 1)), 300, 100, len(losses), *axis(losses))
    points = [tuple(map(float, point.split(","))) for point in line.split(" ")]
    assert len(points) == len(losses)
    assert all(0 < x <= 300 and 0 <= y <= 100 for x, y in points) and points[-1][0] == 300
