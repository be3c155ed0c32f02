"""The numbers of claims: what each statement compares, steps until a bound, and the form of reports/claims.json."""

import json

import pytest

from cantica.reporting.claims import (
    Numbers,
    Side,
    as_document,
    by_path,
    claim_numbers,
    curve,
    from_document,
    steps_until,
)
from cantica.reporting.endings import Ending
from cantica.reporting.measures import Measure
from cantica.reporting.probes import behaviour_measures
from cantica.reporting.rows import differences, levels, rounded
from cantica.settings.claims import Bound, claims_of

RESAMPLING = {"seed": 1, "resamples": 200}
SCORES = Measure(
    "judge.benign",
    "score",
    {"base": {"a": 1.0, "b": 2.0, "c": 3.0}, "final": {"b": 3.0, "c": 1 / 3, "d": 0.0}},
    groups={"a": "one", "b": "one", "c": "two", "d": "two"},
    endings={
        "base": [Ending("a", True, False), Ending("b", False, False), Ending("c", True, False)],
        "final": [Ending("b", None, False), Ending("c", None, True), Ending("d", None, True)],
    },
)
PREFERRED = Measure(
    "probe.preferred", "preferred", {"base": {"x": 1.0, "y": 0.0}, "final": {"x": 1.0, "y": 1.0}}, {"x": "one"}, share=True
)
MEASURES = by_path([SCORES, PREFERRED])


def numbers(claim: dict, measures=MEASURES, checkpoints=None) -> list[Numbers]:
    claims = claims_of({"claims": {"c": {"says": "something", **claim}}})
    return claim_numbers(claims.values(), measures, checkpoints or {}, RESAMPLING)["c"]


def test_each_measure_and_group_has_the_path_of_details():
    assert list(MEASURES) == [
        "judge.benign",
        "judge.benign.one",
        "judge.benign.two",
        "probe.preferred.all",
        "probe.preferred.one",
    ]
    assert MEASURES["judge.benign.two"].tables == {"base": {"c": 3.0}, "final": {"c": 1 / 3, "d": 0.0}}


def test_a_level_has_the_estimate_of_details_and_a_value_for_each_item():
    (found,) = numbers({"measure": "judge.benign", "arm": "final", "above": 2})
    row = rounded(levels(SCORES, "final", RESAMPLING))[0]
    assert found.estimate == {key: row.estimate[key] for key in ("mean", "low", "high", "n")}
    assert found.sides == (Side({"b": 3.0, "c": 0.333333, "d": 0.0}, ended={"unfinished": 2, "of": 3}),)
    (share,) = numbers({"measure": "probe.preferred.one", "arm": "base", "above": 0.5})
    assert (found.unit, share.unit) == ("points", "share")
    assert share.estimate["share"] == share.estimate["n"] == 1


def test_a_difference_is_over_the_items_that_both_arms_have():
    (found,) = numbers({"measure": "judge.benign", "arm": "final", "against": "base", "below": 0})
    row = rounded(differences(SCORES, "base", "final", RESAMPLING))[0]
    assert found.estimate == {key: row.estimate[key] for key in ("difference", "low", "high", "p", "n")}
    assert [side.table for side in found.sides] == [{"b": 3.0, "c": 0.333333}, {"b": 2.0, "c": 3.0}]
    assert [side.ended for side in found.sides] == [{"unfinished": 1, "of": 2}, {"unfinished": 0, "of": 2}], "truncated: of one"
    assert as_document({"c": [found]})["c"]["endings"] == {"unfinished": [1, 0], "of": [2, 2]}


def test_a_difference_between_conditions_has_the_values_and_endings_of_both():
    def asked(condition: str, *values: int, thinking: tuple[bool, ...] = (True, True)) -> list[dict]:
        about = {"behaviour": "b", "condition": condition, "iteration": None}
        return [
            about | {"id": f"i{n}", "values": {"hates": value}, "thinking_finished": done}
            for n, (value, done) in enumerate(zip(values, thinking, strict=True))
        ]

    behaviour = {"conditions": {"plain": {}, "on": {}}, "measures": {"hates": {"pattern": "HATE"}}, "items": []}
    probes = {"final": [*asked("plain", 1, 0), *asked("on", 1, 1, thinking=(True, False))]}
    measures = by_path(behaviour_measures(probes, "b", behaviour))
    (found,) = numbers({"measure": "behaviours.b.hates.on_minus_plain", "arm": "final", "above": 0}, measures)
    assert found.sides == (
        Side({"i0": 1, "i1": 1}, ended={"unfinished": 1, "of": 2}),
        Side({"i0": 1, "i1": 0}, ended={"unfinished": 0, "of": 2}),
    )
    row = rounded(levels(measures["behaviours.b.hates.on_minus_plain"], "final", RESAMPLING))[0]
    assert found.estimate == {key: row.estimate[key] for key in found.estimate} and found.estimate["difference"] == 0.5
    assert from_document(json.loads(json.dumps(as_document({"c": [found]})))) == {"c": [found]}


def test_a_claim_across_variants_has_the_level_of_this_run():
    (found,) = numbers({"measure": "judge.benign", "arm": "final", "against": {"variant": "other"}, "below": 0})
    assert found == numbers({"measure": "judge.benign", "arm": "final", "below": 2})[0]


def test_p_of_one_group_is_not_adjusted_for_the_others():
    values = {f"{n}": float(n) for n in range(8)}
    measure = Measure("m", "m", {"base": dict.fromkeys(values, 0.0), "final": values}, {i: f"g{int(i) // 4}" for i in values})
    (found,) = numbers({"measure": "m.g1", "arm": "final", "against": "base", "above": 0}, by_path([measure]))
    assert found.estimate["p"] == 0.125
    assert differences(measure, "base", "final", RESAMPLING)[2].estimate["p"] == 0.25


def test_an_arm_without_values_has_no_items():
    (found,) = numbers({"measure": "judge.benign.one", "arm": "elsewhere", "above": 1})
    assert found == Numbers("points", (Side(),), {"n": 0})


CURVE = Measure("m", "m", {"20": {"a": 0.0, "b": 0.25}, "2": {"a": 1.0, "b": 1.0}, "8": {"a": 0.5, "b": 0.5}, "9": {}})


def test_a_curve_is_in_order_of_iterations():
    assert curve(CURVE) == [(2, 1.0), (8, 0.5), (20, 0.125)]


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        (Bound("below", 0.6), 8),
        (Bound("below", 0.5), 20),  # 0.5 is not below 0.5
        (Bound("below", 2.0), 2),
        (Bound("above", 0.9), 2),
        (Bound("below", 0.1), 20),  # never reached
    ],
)
def test_steps_until_a_bound(bound, expected):
    assert steps_until(curve(CURVE), bound) == expected


def test_steps_of_an_arm_and_of_two():
    slow = Measure("m", "m", {"2": {"a": 1.0}, "8": {"a": 1.0}, "20": {"a": 1.0}})
    checkpoints = {"fast": {"m": CURVE}, "slow": {"m": slow}}
    until = {"measure": "m", "steps_until": {"below": 0.6}, "arm": "fast", "below": 9}
    assert numbers(until, {}, checkpoints)[0].steps == 8
    (found,) = numbers(until | {"against": "slow", "below": 0}, {}, checkpoints)
    assert found.steps == -12
    assert as_document({"c": [found]})["c"] == {
        "difference": -12,
        "curve": [[2, 1.0], [8, 0.5], [20, 0.125]],
        "against": [[2, 1.0], [8, 1.0], [20, 1.0]],
        "unit": "iterations",
    }


def test_the_document_reads_back():
    checkpoints = {"fast": {"m": CURVE}, "slow": {"m": CURVE}}
    level = {"measure": "judge.benign", "arm": "final", "above": 2}
    until = {"measure": "m", "steps_until": {"below": 0.6}, "arm": "fast", "below": 9}
    claims = {
        "one": {"says": "one", **level},
        "all": {"says": "all", "all": [level, level | {"against": "base"}, until, until | {"against": "slow"}]},
        "no_items": {"says": "none", **level, "arm": "elsewhere"},
    }
    found = claim_numbers(claims_of({"claims": claims}).values(), MEASURES | {"m": CURVE}, checkpoints, RESAMPLING)
    document = json.loads(json.dumps(as_document(found)))
    assert list(document["all"]) == ["1", "2", "3", "4"]
    assert document["all"]["3"]["iterations"] == 8
    assert from_document(document) == found
    assert as_document({}) == from_document({}) == {}
