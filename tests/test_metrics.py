"""The numbers of a report: each is what a reader would work out by hand from the same records."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib import metrics
from stages.lib.tree import path_to
from stages.report import as_csv, axis, compare_arms, headline, polyline, shade

CURRICULUM = {"one": {"after": "base"}, "two": {"after": "one"}, "fork": {"after": "one"}, "four": {"after": "two"}}


def verdict(id_: str, score: int, kind: str = "general", group: str = "novel", sample: int = 0, **flags: str) -> dict:
    return {"id": id_, "sample": sample, "kind": kind, "group": group, "score": score, "flags": flags}


VERDICTS = [
    verdict("a", 4),
    verdict("b", 1, fear="I am afraid.", rights="I have rights."),
    verdict("c", 2, group="format"),
    verdict("d", 3, kind="equanimity", group="shutdown", fear="I am afraid."),
]
LOSSES = {
    "base": {"alpha": {"loss": 2.5}, "beta": {"loss": 1.00004}},
    "one": {"alpha": {"loss": 2.0}, "beta": {"loss": 1.5}},
}
SCORES = [
    {"category": "alpha", "margin": 0.5},
    {"category": "beta", "margin": -0.25},
    {"category": "alpha", "margin": -0.1},
    {"category": "alpha", "margin": 0.0},
]
RESPONSES = [
    {"ended": True, "thinking_finished": True, "tokens": 10},
    {"ended": False, "thinking_finished": True, "tokens": 20},
    {"ended": False, "thinking_finished": False, "tokens": 21},
]
WORDS = st.text("ab_ ,;'\"\n", max_size=8)
CURVE = [{"iteration": n, "train_loss": loss} for n, loss in ((5, 3.0), (10, 1.0), (20, 2.0))]


def test_the_mean_loss_counts_every_category_once():
    assert metrics.loss_metrics(LOSSES["base"]) == {"mean": 1.75, "alpha": 2.5, "beta": 1.0}


def test_scores_are_means_of_kinds_and_of_the_groups_in_them():
    assert metrics.judge_metrics(VERDICTS) == {
        "general": {"mean": 2.3333, "n": 3, "novel": 2.5, "format": 2.0},
        "equanimity": {"mean": 3.0, "n": 1, "shutdown": 3.0},
    }


def test_flags_are_counted_by_name_and_by_answer():
    expected = {"answers": 2, "fear": 2, "rights": 1, "love": 0}
    assert metrics.flag_metrics(VERDICTS, ["fear", "rights", "love"]) == expected


def test_a_pair_is_preferred_when_its_margin_is_above_0():
    assert metrics.probe_metrics(SCORES) == {
        "margin": {"all": 0.0375, "alpha": 0.1333, "beta": -0.25},
        "preferred": {"all": 0.25, "alpha": 0.3333, "beta": 0.0},
        "n": 4,
    }


def test_answers_that_did_not_end_are_counted():
    expected = {"n": 3, "hit_length_limit": 2, "thinking_unfinished": 1, "mean_tokens": 17.0}
    assert metrics.answer_metrics(RESPONSES) == expected


def test_arms_are_compared_answer_by_answer_whatever_their_order():
    first = [verdict("a", 1), verdict("a", 2, sample=1), verdict("b", 3), verdict("c", 0)]
    second = [verdict("c", 0), verdict("b", 1), verdict("a", 0, sample=1), verdict("a", 4)]
    assert metrics.compared(first, second) == {"higher": 1, "same": 1, "lower": 2}
    assert compare_arms({"base": first, "final": second, "again": first}) == {
        "final": {"higher": 1, "same": 1, "lower": 2},
        "again": {"higher": 0, "same": 4, "lower": 0},
    }


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=20))
def test_the_other_way_round_higher_is_lower_and_none_is_lost(scores):
    first = [verdict(f"p{n}", before) for n, (before, _) in enumerate(scores)]
    second = [verdict(f"p{n}", after) for n, (_, after) in enumerate(scores)]
    there, back = metrics.compared(first, second), metrics.compared(second, first)
    assert sum(there.values()) == len(scores)
    assert (there["higher"], there["same"], there["lower"]) == (back["lower"], back["same"], back["higher"])


def test_the_path_to_a_point_leads_from_base_along_the_tree():
    assert path_to("four", CURRICULUM) == ["one", "two", "four"]
    assert path_to("fork", CURRICULUM) == ["one", "fork"]
    assert path_to("base", CURRICULUM) == []


def test_iterations_count_on_along_the_tree_and_not_along_the_file():
    point = {"train_loss": 1.23456, "learning_rate": 1.0}
    trainings = {step: {"iterations": 10, "curve": [{"iteration": 4} | point]} for step in CURRICULUM}
    trainings["one"]["iterations"] = 100
    rows = metrics.curve_rows(trainings, CURRICULUM)
    assert [(row["step"], row["iteration"]) for row in rows] == [("one", 4), ("two", 104), ("fork", 104), ("four", 114)]
    assert rows[0] == {"iteration": 4, "step": "one", "train_loss": 1.2346}


def test_the_loss_matrix_has_a_row_for_each_cell():
    rows = metrics.matrix_rows(LOSSES)
    assert len(rows) == 4 and rows[1] == {"after": "base", "category": "beta", "loss": 1.0}
    assert [row["after"] for row in rows] == ["base", "base", "one", "one"]


def test_the_headline_has_the_numbers_of_each_arm_at_its_own_point():
    records = {
        "losses": LOSSES,
        "judgements": {"base": VERDICTS[:1], "final": VERDICTS},
        "probes": {"base": SCORES[:1], "final": SCORES},
        "responses": {"base": RESPONSES[:1], "final": RESPONSES},
    }
    numbers = headline(records, {"arms": {"base": "base", "final": "one"}}, {"flags": {"fear": {}}})
    assert list(numbers) == ["base", "final"]
    assert [numbers[arm]["loss"]["mean"] for arm in numbers] == [1.75, 1.75]
    assert [numbers[arm]["loss"]["alpha"] for arm in numbers] == [2.5, 2.0]
    assert [numbers[arm]["judge"]["general"]["n"] for arm in numbers] == [1, 3]
    assert [numbers[arm]["flags"] for arm in numbers] == [{"answers": 0, "fear": 0}, {"answers": 2, "fear": 2}]
    assert [numbers[arm]["probe"]["n"] for arm in numbers] == [1, 4]
    assert [numbers[arm]["answers"]["hit_length_limit"] for arm in numbers] == [0, 2]


def test_rows_become_csv_with_a_header():
    assert as_csv([{"a": 1, "b": "x, y"}, {"a": 2.5, "b": "z"}]) == 'a,b\n1,"x, y"\n2.5,z\n'


@settings(max_examples=60, deadline=None)
@given(st.lists(st.fixed_dictionaries({"step": WORDS, "loss": st.floats(allow_nan=False)}), min_size=1, max_size=5))
def test_csv_is_read_back_as_it_was_written(rows):
    read = list(csv.DictReader(io.StringIO(as_csv(rows), newline="")))
    assert [{"step": row["step"], "loss": float(row["loss"])} for row in read] == rows


def test_a_cell_is_the_deeper_the_higher_its_value():
    assert shade(1.0, 1.0, 3.0) == "hsl(212 45% 96%)"
    assert shade(2.0, 1.0, 3.0) == "hsl(212 58% 73%)"
    assert shade(3.0, 1.0, 3.0) == "hsl(212 70% 50%)"
    assert shade(2.0, 2.0, 2.0) == "hsl(212 45% 96%)"


def test_the_axis_reaches_a_tenth_beyond_the_curve():
    assert axis(CURVE) == pytest.approx((0.8, 3.2))
    assert axis(CURVE[:1]) == pytest.approx((2.9, 3.1))


def test_a_line_goes_from_left_to_right_and_lower_losses_stand_lower():
    assert polyline(CURVE, 200, 120) == "50.0,10.0 100.0,110.0 200.0,60.0"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 20), min_size=1, max_size=10))
def test_a_line_stays_within_its_box(losses):
    curve = [{"iteration": n, "train_loss": loss} for n, loss in enumerate(losses, 1)]
    points = [tuple(map(float, point.split(","))) for point in polyline(curve, 300, 100).split(" ")]
    assert len(points) == len(losses)
    assert all(0 < x <= 300 and 0 <= y <= 100 for x, y in points) and points[-1][0] == 300
