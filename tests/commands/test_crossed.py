"""Several seeds: the interval of a mean over runs and items is that of the closed form, and covers what it says."""

import math
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cantica.commands.comparison import crossed

DRAWS = {"seed": 1, "resamples": 1000}
# Of three runs on four items, by hand: the mean is 3, that of the runs 2, 3 and 4, of the items 1.5, 2.5, 3.5 and 4.5.
RUNS = {
    "1": {"a": 1.0, "b": 1.0, "c": 2.0, "d": 4.0},
    "2": {"a": 1.0, "b": 3.0, "c": 4.0, "d": 4.0},
    "3": {"a": 2.5, "b": 3.5, "c": 4.5, "d": 5.5},
}
CELLS = st.lists(st.lists(st.integers(-5, 5), min_size=3, max_size=3), min_size=2, max_size=4)


def runs_of(array, first: int = 1) -> dict:
    return {str(first + k): {str(i): float(x) for i, x in enumerate(row)} for k, row in enumerate(array)}


def zeros(runs: dict) -> dict:
    return {seed: dict.fromkeys(table, 0.0) for seed, table in runs.items()}


def test_the_interval_is_that_of_the_closed_form():
    """Mean squares from sums over the table: runs 4·Σ(mean−3)²/2 = 4, items 3·5/3 = 5, rest 2/6."""
    found = crossed.level(RUNS, share=False)
    of_runs, of_items, rest = 4.0, 5.0, 2.0 / 6
    whole = of_runs + of_items - rest
    weight = of_runs / whole
    critical = weight * stats.t.ppf(0.975, 2) + (1 - weight) * stats.t.ppf(0.975, 3)
    reach = critical * math.sqrt(whole / 12)
    assert found == pytest.approx({"mean": 3.0, "low": 3 - reach, "high": 3 + reach, "n": 4, "seeds": 3})


def test_a_difference_of_runs_with_the_same_seeds_is_that_of_their_differences():
    found = crossed.difference(zeros(RUNS), RUNS, **DRAWS)
    alone = crossed.level(RUNS, share=False)
    assert (found["difference"], found["n"], found["seeds"]) == (3.0, 4, 3)
    assert (found["low"], found["high"]) == pytest.approx((alone["low"], alone["high"]))
    assert 0.05 < found["p"] < 0.06 and found["low"] < 0 and "detectable" not in found


@settings(max_examples=60, deadline=None)
@given(CELLS, CELLS, st.sampled_from([0.05, 0.01, 0.001]))
def test_a_smaller_alpha_has_a_wider_interval_and_p_agrees_with_that_of_95_percent(first, second, alpha):
    one, other = runs_of(first), runs_of(second)
    usual, wide = (crossed.difference(one, other, **DRAWS, alpha=a) for a in (0.05, alpha))
    assert wide["low"] <= usual["low"] + 1e-9 and wide["high"] >= usual["high"] - 1e-9
    if usual["low"] < usual["high"] and abs(usual["p"] - 0.05) > 1e-6:
        assert (usual["p"] < 0.05) == (not usual["low"] <= 0 <= usual["high"])


def test_without_an_effect_of_items_it_is_students_test_of_the_runs():
    """The means of runs are then all that is known: with items alike, k runs are k numbers."""
    means = [0.2, 0.9, 0.4, 1.3]
    found = crossed.level(runs_of([[mean] * 5 for mean in means]), share=False)
    assert (found["low"], found["high"]) == pytest.approx(stats.t.interval(0.95, 3, fmean(means), stats.sem(means)))


def test_without_an_effect_of_runs_it_is_students_test_of_the_items():
    first, second = [0.1, 0.5, 0.2, 0.9, 0.3, 0.7], [0.4, 0.4, 0.9, 1.1, 0.8, 0.6]
    found = crossed.difference(runs_of([first, first]), runs_of([second, second]), **DRAWS)
    expected = stats.ttest_rel(second, first)
    assert found["p"] == pytest.approx(expected.pvalue)
    assert (found["low"], found["high"]) == pytest.approx(tuple(expected.confidence_interval()))


def test_other_seeds_are_welchs_test_of_the_runs_where_items_do_not_matter():
    first, second = [1.0, 1.4, 1.1], [2.0, 2.9, 2.2, 2.4]
    found = crossed.difference(runs_of([[x] * 4 for x in first]), runs_of([[x] * 4 for x in second], 11), **DRAWS)
    assert found["p"] == pytest.approx(stats.ttest_ind(second, first, equal_var=False).pvalue)
    assert found["difference"] == pytest.approx(fmean(second) - fmean(first)) and found["seeds"] == 3


@settings(max_examples=60, deadline=None)
@given(CELLS, CELLS)
def test_the_other_way_round_a_difference_has_the_other_sign_and_the_same_p(first, second):
    there = crossed.difference(runs_of(first), runs_of(second), **DRAWS)
    back = crossed.difference(runs_of(second), runs_of(first), **DRAWS)
    assert there["difference"] == pytest.approx(-back["difference"]) and there["p"] == pytest.approx(back["p"])
    assert 0 < there["p"] <= 1 and there["low"] <= there["difference"] <= there["high"]


@settings(max_examples=60, deadline=None)
@given(CELLS)
def test_it_is_never_narrower_than_students_interval_of_the_items_alone(cells):
    found = crossed.level(runs_of(cells), share=False)
    means = np.mean(cells, axis=0)
    reach = stats.sem(means) * stats.t.ppf(0.975, 1e9)
    assert found["high"] - found["low"] >= 2 * reach - 1e-9


def test_only_items_that_all_runs_have_count_and_too_few_tell_nothing():
    runs = {"1": {"a": 1.0, "b": 2.0, "c": 9.0}, "2": {"b": 4.0, "a": 3.0}}
    assert (crossed.level(runs, share=False)["mean"], crossed.level(runs, share=False)["n"]) == (2.5, 2)
    one = {"1": {"a": 1.0}, "2": {"a": 3.0}}
    assert crossed.level(one, share=False) == {"mean": 2.0, "n": 1, "seeds": 2}
    assert crossed.difference(zeros(one), one, **DRAWS) == {"difference": 2.0, "p": 1.0, "n": 1, "seeds": 2}
    assert crossed.level({"1": {"a": 1.0}, "2": {"b": 1.0}}, share=True) == {"n": 0, "seeds": 2}


def test_shares_stay_shares_and_what_never_varies_has_no_width():
    runs = runs_of([[1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1]])
    found = crossed.level(runs, share=True)
    assert 0 <= found["low"] < found["share"] < found["high"] <= 1
    none = crossed.level(runs_of([[0] * 20] * 3), share=True)
    assert (none["low"], none["high"]) == pytest.approx(tuple(stats.binomtest(0, 20).proportion_ci(0.95, "wilson")))
    alike = crossed.difference(runs_of([[0] * 8] * 2), runs_of([[1] * 8] * 2), **DRAWS)
    assert (alike["low"], alike["high"], alike["p"]) == (1.0, 1.0, 2 / 2**8)
    assert crossed.difference(runs, runs, **DRAWS)["p"] == 1.0


ANSWERS = st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=6, max_size=6), min_size=3, max_size=3)


@settings(max_examples=60, deadline=None)
@given(ANSWERS, ANSWERS, st.booleans(), st.sampled_from([0.05, 0.01]))
def test_a_difference_of_shares_has_limits_from_minus_one_to_one_and_is_never_exact(first, second, same, alpha):
    """The other way round it is mirrored, and it is at least as wide as Student's between these limits."""
    one, other = np.array(first), np.array(second)
    there = crossed.difference_interval(one, other, same, True, alpha)
    back = crossed.difference_interval(other, one, same, True, alpha)
    students = crossed.difference_interval(one, other, same, False, alpha)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert -1 <= there.low <= there.mean <= there.high <= 1
    assert there.low <= max(students.low, -1) + 1e-9 and there.high >= min(students.high, 1) - 1e-9
    assert there.high - there.low >= stats.binomtest(0, 6).proportion_ci(0.95, "wilson").high - 1e-9


def test_a_difference_of_shares_near_the_floor_has_newcombes_limits():
    """Of two sides without correlation: no item of one, and the same three of twenty of the other in every run."""
    none, some = np.zeros((3, 20)), np.array([[1.0] * 3 + [0.0] * 17] * 3)
    found = crossed.difference_interval(none, some, True, True)
    reach, worth = stats.t.ppf(0.975, 19), 19  # three of twenty have the variance 0.15 · 0.85 / 19
    # The side that never varies has Wilson's own limits, as a level has.
    (_, least), (low, high) = crossed.wilson(0.0, 20, stats.norm.ppf(0.975)), crossed.wilson(0.15, worth, reach)
    assert found.high == pytest.approx(high) and found.low == pytest.approx(0.15 - math.hypot(0.15 - low, least))


@pytest.mark.slow
@pytest.mark.parametrize("same", [True, False])
def test_in_simulation_intervals_cover_as_often_as_they_say(same):
    """Over spreads of seeds and items; the Monte-Carlo error is 0.5%. An interval that ignores the seeds covers far less."""
    times, lines = 2000, []
    for k, n in ((2, 18), (3, 30), (5, 72)):
        for of_runs, of_items in ((0.0, 0.0), (0.0, 0.5), (0.1, 0.5), (0.5, 0.5), (0.5, 0.0)):
            draws = np.random.default_rng(k * n)
            held = naive = 0
            for _ in range(times):
                sides = [
                    draws.normal(0, of_runs, (k, 1)) + draws.normal(0, of_items, (1, n)) + draws.normal(0, 1, (k, n))
                    for _ in range(2)
                ]
                first, second = runs_of(sides[0]), runs_of(sides[1], 1 if same else 101)
                found = crossed.difference(first, second, **DRAWS)
                held += found["low"] <= 0 <= found["high"]
                items = sides[1].mean(axis=0) - sides[0].mean(axis=0)
                naive += stats.ttest_1samp(items, 0).pvalue >= 0.05
            lines.append((k, n, of_runs, of_items, held / times, float(naive / times)))
    print(*lines, sep="\n")
    assert min(line[4] for line in lines) >= 0.94
    assert min(line[5] for line in lines) < 0.75
