"""The data of charts over iterations."""

from cantica.reporting.curves import curve_rows, started, values_of
from cantica.reporting.measures import Measure

CURRICULUM = {step: {"after": after} for step, after in {"one": "base", "two": "one", "fork": "one", "four": "two"}.items()}


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
    rows = started(curve_rows(trainings, CURRICULUM), CURRICULUM)
    lines = {branch: [(r["iteration"], r["train_loss"]) for r in rows if r["branch"] == branch] for branch in ("four", "fork")}
    assert lines["four"] == [(1, 2.0), (2, 1.0), (3, 2.0), (4, 1.0), (5, 2.0), (6, 1.0)]
    assert lines["fork"] == [(2, 1.0), (3, 2.0), (4, 1.0)]


def test_a_curve_has_the_values_of_a_measure_and_the_ends_of_their_intervals():
    sure, picks = Measure("b.sure", "", {}), Measure("b.picks", "", {}, share=True)
    trajectory = {
        2: [
            (sure, {"mean": -3.0, "low": -4.0, "high": -2.0, "n": 5}),
            (picks, {"share": 0.5, "low": 0.25, "high": 0.75, "n": 4}),
        ],
        8: [(sure, {"mean": -1.0, "n": 1}), (picks, {"n": 0})],
    }
    assert values_of(trajectory, {"b.sure": "sure"}) == [
        {"iteration": 2, "series": "sure", "value": -3.0, "low": -4.0, "high": -2.0},
        {"iteration": 8, "series": "sure", "value": -1.0, "low": -1.0, "high": -1.0},
    ]
    assert [row["value"] for row in values_of(trajectory, {"b.picks": "picks"})] == [0.5]
    assert values_of(trajectory, {"b.other": "other"}) == []
