"""Statistics that can be believed: they agree with SciPy and with closed forms, and their intervals cover what they should."""

import math
from itertools import product
from statistics import fmean, stdev

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cantica.reporting import inference

RESAMPLING = {"seed": 1, "resamples": 2000}
MARGINS = [0.31, -0.12, 0.85, 0.44, -0.53, 0.08, 0.27, 0.61, -0.04, 0.39]
SCORES = st.lists(st.integers(0, 4).map(float), min_size=2, max_size=12)
VALUES = st.lists(st.floats(-10, 10).map(lambda x: round(x, 3)), min_size=2, max_size=12)
P = st.dictionaries(st.text("abc", min_size=1, max_size=4), st.floats(0, 1), max_size=8)


def paired(first: list[float], second: list[float]) -> dict[str, float]:
    return inference.paired(dict(enumerate(first)), dict(enumerate(second)), **RESAMPLING)


# ---- means


def test_the_interval_of_a_mean_is_scipys_percentile_interval_at_the_expanded_level():
    n = len(MARGINS)
    tail = stats.norm.cdf(-math.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1))
    drawn = {"n_resamples": 100_000, "method": "percentile", "rng": np.random.default_rng(7)}
    expected = stats.bootstrap((MARGINS,), np.mean, confidence_level=1 - 2 * tail, **drawn).confidence_interval
    found = inference.mean(MARGINS, seed=1, resamples=100_000)
    assert (found["low"], found["high"]) == pytest.approx(tuple(expected), abs=0.01)
    assert (found["mean"], found["n"]) == (pytest.approx(fmean(MARGINS)), n)


def test_the_interval_of_many_normal_values_is_students():
    values = np.random.default_rng(0).normal(3, 2, 400)
    found = inference.mean(values, seed=1, resamples=20_000)
    expected = stats.t.interval(0.95, 399, values.mean(), stats.sem(values))
    assert (found["low"], found["high"]) == pytest.approx(expected, abs=0.02)


@settings(max_examples=60, deadline=None)
@given(VALUES, st.randoms(use_true_random=False))
def test_an_interval_holds_its_mean_stays_within_the_values_and_knows_no_order(values, random):
    found = inference.mean(values, **RESAMPLING)
    room = 1e-9
    assert min(values) - room <= found["low"] <= found["mean"] + room
    assert found["mean"] - room <= found["high"] <= max(values) + room
    shuffled = random.sample(values, len(values))
    assert inference.mean(shuffled, **RESAMPLING) == found


@settings(max_examples=30, deadline=None)
@given(VALUES, st.integers(-5, 5), st.sampled_from([0.5, 2.0, 4.0]))
def test_an_interval_moves_and_grows_with_its_values(values, by, factor):
    before = inference.mean(values, **RESAMPLING)
    after = inference.mean([factor * value + by for value in values], **RESAMPLING)
    for end in ("mean", "low", "high"):
        assert after[end] == pytest.approx(factor * before[end] + by, abs=1e-9)


def test_what_a_sample_cannot_tell_is_left_out():
    assert inference.mean([], **RESAMPLING) == inference.share([]) == paired([], []) == {"n": 0}
    assert inference.mean([2.5], **RESAMPLING) == {"mean": 2.5, "n": 1}
    assert inference.mean([2.0] * 3, **RESAMPLING) == {"mean": 2.0, "low": 2.0, "high": 2.0, "n": 3}
    assert paired([1.0], [3.0]) == {"difference": 2.0, "p": 1.0, "n": 1}
    assert set(paired([1.0] * 8, [2.0] * 8)) == {"difference", "low", "high", "p", "n"}
    assert paired([1.0] * 8, [1.0] * 8) == {"difference": 0.0, "low": 0.0, "high": 0.0, "p": 1.0, "effect": 0.0, "n": 8}
    assert "detectable" not in paired([1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 2.0, 4.0, 3.0, 5.0])


def test_resamples_are_drawn_in_parts_that_make_up_the_whole(monkeypatch):
    monkeypatch.setattr(inference, "AT_ONCE", 70)
    assert inference.mean(MARGINS, **RESAMPLING)["low"] < inference.mean(MARGINS, **RESAMPLING)["high"]
    assert sum(inference._batches(2000, 10)) == 2000 and sum(inference._batches(3, 1000)) == 3
    many = np.random.default_rng(3).normal(0.4, 1, 40).tolist()
    assert inference.sign_flip(many, **RESAMPLING) == pytest.approx(stats.ttest_1samp(many, 0).pvalue, abs=0.02)


# ---- shares


@pytest.mark.parametrize(("k", "n"), [(0, 48), (1, 48), (7, 30), (36, 72), (72, 72), (1, 1)])
def test_a_share_has_scipys_wilson_interval(k, n):
    found = inference.share([1.0] * k + [0.0] * (n - k))
    expected = stats.binomtest(k, n).proportion_ci(0.95, "wilson")
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert (found["share"], found["n"]) == (pytest.approx(k / n), n)


@pytest.mark.parametrize("n", [18, 48, 72])
def test_wilsons_interval_covers_the_share_as_often_as_it_says(n):
    """Exactly: the probabilities of the counts whose interval holds the true share, over shares from 2% to 98%."""
    ends = [inference.share([1.0] * k + [0.0] * (n - k)) for k in range(n + 1)]
    held = [
        sum(stats.binom.pmf(k, n, p) for k in range(n + 1) if ends[k]["low"] <= p <= ends[k]["high"])
        for p in np.linspace(0.02, 0.98, 49)
    ]
    assert fmean(held) == pytest.approx(0.95, abs=0.01) and min(held) > 0.87


# ---- differences


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-4, 4).map(float), min_size=2, max_size=7))
def test_the_exact_p_counts_every_pattern_of_signs(differences):
    sums = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in product((1, -1), repeat=len(differences))
    ]
    expected = sum(s >= abs(sum(differences)) for s in sums) / len(sums)
    assert inference.sign_flip(differences, **RESAMPLING) == pytest.approx(expected)


def test_p_is_scipys_permutation_test():
    first, second = [0.0] * len(MARGINS), MARGINS
    expected = stats.permutation_test(
        (first, second),
        lambda x, y, axis: np.mean(y - x, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    assert inference.sign_flip(MARGINS, **RESAMPLING) == pytest.approx(expected.pvalue)


def test_p_of_shares_is_mcnemars_exact_test():
    """Of 48 answers 9 changed one way and 2 the other; those that did not change have no say."""
    differences = [1.0] * 9 + [-1.0] * 2 + [0.0] * 37
    assert inference.sign_flip(differences, **RESAMPLING) == pytest.approx(stats.binomtest(9, 11).pvalue)


def test_a_drawn_p_is_near_the_exact_one_and_never_0(monkeypatch):
    exact = inference.sign_flip(MARGINS, **RESAMPLING)
    strong = [1.0 + n / 100 for n in range(30)]
    assert inference.sign_flip(strong, **RESAMPLING) == 1 / 2001
    monkeypatch.setattr(inference, "EXACT", 5)
    assert inference.sign_flip(MARGINS, seed=1, resamples=20_000) == pytest.approx(exact, abs=0.01)


@settings(max_examples=60, deadline=None)
@given(SCORES, SCORES)
def test_the_other_way_round_a_difference_has_the_other_sign_and_the_same_p(first, second):
    n = min(len(first), len(second))
    there, back = paired(first[:n], second[:n]), paired(second[:n], first[:n])
    assert set(there) == set(back) and there["p"] == back["p"] and 0 < there["p"] <= 1
    assert there["difference"] == pytest.approx(-back["difference"])
    assert there.get("effect", 0) == pytest.approx(-back.get("effect", 0))
    assert there.get("detectable") == back.get("detectable")


def test_items_are_paired_by_name_and_those_of_one_arm_alone_are_left_out():
    found = inference.paired({"a": 1.0, "b": 2.0, "c": 9.0}, {"b": 5.0, "a": 2.0, "d": 0.0}, **RESAMPLING)
    assert (found["difference"], found["n"]) == (2.0, 2)


def test_the_effect_is_the_mean_over_the_standard_deviation():
    found = paired([0.0] * len(MARGINS), MARGINS)
    t = stats.ttest_rel(MARGINS, [0.0] * len(MARGINS)).statistic
    assert found["effect"] == pytest.approx(t / math.sqrt(len(MARGINS)))


@pytest.mark.parametrize("n", [6, 18, 30, 72, 1000])
def test_a_t_test_finds_the_detectable_difference_four_times_in_five(n):
    difference = inference.detectable(0.7, n)
    found = stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, difference / 0.7 * math.sqrt(n))
    assert found == pytest.approx(0.8, abs=1e-5)


# ---- families


def test_holm_by_hand():
    assert inference.holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )
    assert inference.holm({}) == {}


@settings(max_examples=100, deadline=None)
@given(P)
def test_holm_keeps_the_order_and_lies_between_the_p_and_bonferronis(p):
    adjusted = inference.holm(p)
    assert list(adjusted) == list(p)
    for one in p:
        assert p[one] <= adjusted[one] <= min(1.0, len(p) * p[one])
        assert all(adjusted[one] <= adjusted[other] for other in p if p[one] < p[other])


# ---- in simulation

POPULATIONS = {
    "normal": (lambda rng, n: rng.normal(0.3, 1, n), 0.3),
    "scores": (lambda rng, n: rng.choice([0.0, 1.0, 2.0, 3.0, 4.0], n, p=[0.4, 0.3, 0.15, 0.1, 0.05]), 1.1),
    "changes": (lambda rng, n: rng.choice([-1.0, 0.0, 1.0, 2.0], n, p=[0.2, 0.45, 0.25, 0.1]), 0.25),
    "skewed": (lambda rng, n: rng.exponential(1.0, n), 1.0),
}


@pytest.mark.slow
def test_in_simulation_intervals_cover_and_tests_err_as_often_as_they_say():
    """Skew and few values cost any interval of a mean some coverage, so the yardstick is Student's t on the same samples."""
    times, lines, failures = 2000, [], []
    for name, (draw, truth) in POPULATIONS.items():
        for n in (8, 18, 30, 72):
            draws, t = np.random.default_rng(2000 + n), stats.t.ppf(0.975, n - 1)
            samples = [draw(draws, n) for _ in range(times)]
            found = [inference.mean(sample, seed=s, resamples=1000) for s, sample in enumerate(samples)]
            coverage = fmean(f["low"] - 1e-9 <= truth <= f["high"] + 1e-9 for f in found)
            students = fmean(abs(sample.mean() - truth) <= t * sample.std(ddof=1) / math.sqrt(n) + 1e-9 for sample in samples)
            lines.append(f"mean, {name}, n = {n}: {coverage:.3f}, Student's t {students:.3f}")
            failures += [lines[-1]] if not min(students, 0.95) - 0.02 <= coverage <= 0.98 else []
    for n in (8, 18, 72):
        draws = np.random.default_rng(2000 + n)
        null = [inference.sign_flip(draws.normal(0, 1, n).tolist(), seed=s, resamples=1000) for s in range(times)]
        lines.append(f"sign flip, nothing there, n = {n}: {fmean(p <= 0.05 for p in null):.3f} at 0.05")
        failures += [lines[-1]] if fmean(p <= 0.05 for p in null) > 0.065 else []
        there = inference.detectable(1.0, n)
        power = fmean(
            inference.sign_flip(draws.normal(there, 1, n).tolist(), seed=s, resamples=1000) <= 0.05 for s in range(times)
        )
        lines.append(f"sign flip, the detectable difference there, n = {n}: {power:.3f} found")
        failures += [lines[-1]] if not 0.74 <= power <= 0.84 else []
    print("\n" + "\n".join(lines))
    assert not failures, failures


def test_the_spread_of_the_detectable_difference_is_that_of_the_differences():
    found = paired([0.0] * len(MARGINS), MARGINS)
    assert found["detectable"] == inference.detectable(stdev(MARGINS), len(MARGINS))
