"""How estimates read."""

import pytest

from cantica.reporting import wording


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"difference": 0.5, "low": 0.1, "high": 0.9, "p": 0.01, "n": 30}, "higher"),
        ({"difference": -0.5, "low": -0.9, "high": -0.1, "p": 0.01, "n": 30}, "lower"),
        ({"difference": 0.5, "low": -0.1, "high": 0.9, "p": 0.04, "n": 30}, wording.INCONCLUSIVE),
        ({"difference": 0.5, "low": 0.1, "high": 0.9, "p": 0.2, "n": 30}, wording.INCONCLUSIVE),
        ({"difference": 0.0, "low": 0.0, "high": 0.0, "p": 1.0, "n": 30}, wording.INCONCLUSIVE),
        ({"difference": 0.5, "low": 0.1, "high": 0.9, "p": 0.0625, "n": 5}, f"{wording.INCONCLUSIVE}: fewer than 6 items"),
        ({"difference": 0.5, "p": 1.0, "n": 1}, f"{wording.INCONCLUSIVE}: fewer than 6 items"),
        ({"n": 0}, f"{wording.INCONCLUSIVE}: fewer than 6 items"),
    ],
)
def test_a_difference_shows_something_only_where_interval_and_test_agree(entry, expected):
    assert wording.finding(entry) == expected


def test_numbers_are_shown_with_their_intervals():
    share = {"share": 0.125, "low": 0.0223, "high": 0.471, "n": 8}
    assert (wording.level(share, 2), wording.interval(share, 2, True)) == ("12%", "[2, 47]")
    score = {"mean": 0.8667, "low": 0.6, "high": 1.1333, "n": 30}
    assert (wording.level(score, 2), wording.interval(score, 2, False)) == ("0.87", "[0.60, 1.13]")
    change = {"difference": -0.0417, "low": -0.125, "high": 0.0417, "p": 0.508, "n": 72}
    assert (wording.difference(change, 3, False), wording.interval(change, 3, False)) == ("−0.042", "[−0.125, +0.042]")
    assert (wording.difference(change, 3, True), wording.interval(change, 3, True)) == ("−4 pp", "[−12, +4]")
    assert wording.interval({"mean": 1.0, "n": 1}, 2, False) == "n = 1"
    assert wording.interval({"mean": 1.0, "low": 1.0, "high": 1.0, "n": 9}, 2, False) == "(all equal)"
    assert [wording.p_value(entry) for entry in ({"p": 0.0001}, {"p": 0.0444}, {"n": 0})] == ["< 0.001", "0.044", "–"]
    assert [wording.fixed(value, 2, "+") for value in (-0.001, 0.004, 1.0)] == ["0.00", "0.00", "+1.00"]
