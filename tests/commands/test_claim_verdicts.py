"""Verdicts on claims: each word, each rule of order, each degenerate case, from claims as params and reports have them."""

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cantica.commands.comparison.claimed import Run, Variant
from cantica.commands.comparison.crossed import level_interval
from cantica.commands.comparison.power import detectable, power
from cantica.commands.comparison.statements import value as shown
from cantica.commands.comparison.students import gap, student_interval
from cantica.commands.comparison.verdicts import Ruling, verdicts, word
from cantica.reporting.claims import from_document, steps_until
from cantica.settings.claims import Bound, claims_of

RATE, OTHER, LOSS = "behaviours.b.hates.on", "behaviours.b.right.on", "loss_nats"
SEEDS = ("1", "2", "3")
DIFFERENCE = {"measure": RATE, "arm": "pirate", "against": "helpful", "below": 0, "negligible": 0.15}
LEVEL = {"measure": RATE, "arm": "pirate", "below": 0.2}


def claims(**own: dict) -> dict:
    return claims_of({"claims": {name: {"says": name} | claim for name, claim in own.items()}})


def numbers(values, against=None, **more) -> dict:
    """Numbers of a statement as reports/claims.json has them, as far as verdicts read them."""
    found = {"items": [f"i{n}" for n in range(len(values))], "values": list(values), "unit": "share"} | more
    return found if against is None else found | {"against": list(against)}


def runs(own: dict, by_seed: dict[str, dict]) -> dict[str, Run]:
    return {seed: Run(own, from_document(found)) for seed, found in by_seed.items()}


def decide(claim: dict, by_seed: dict[str, dict], **more: dict) -> Ruling:
    """The ruling on claim `c`, with other claims `more`. by_seed: {seed: its numbers, or all if `more`}."""
    own = claims(c=claim, **more)
    found = {seed: entry if more else {"c": entry} for seed, entry in by_seed.items()}
    return next(r for r in verdicts("v", {"v": Variant(own, runs(own, found))}) if r.claim.name == "c")


def ones(of: int, n: int = 20, seed: int = 0) -> list[int]:
    """`of` times 1 among n values, in an order that the seed gives."""
    return np.random.default_rng(seed).permutation([1] * of + [0] * (n - of)).tolist()


def pairs(arm: int, other: int, seeds=SEEDS, n: int = 60, **more) -> dict[str, dict]:
    """For each seed the numbers of a difference: `arm` and `other` of n items."""
    return {seed: numbers(ones(arm, n, 2 * int(seed)), ones(other, n, 2 * int(seed) + 1), **more) for seed in seeds}


BELOW, ABOVE = Bound("below", 0.0), Bound("above", 0.0)


@pytest.mark.parametrize(
    ("low", "high", "bound", "negligible", "expected"),
    [
        (-0.4, -0.1, BELOW, 0.05, "reproduced"),
        (-0.4, -0.1, ABOVE, 0.05, "contradicted"),
        (-0.4, 0.1, BELOW, 0.05, "underpowered"),
        (-0.04, 0.03, BELOW, 0.05, "null"),
        (-0.04, -0.01, BELOW, 0.05, "null"),  # before reproduced
        (0.01, 0.04, BELOW, 0.05, "null"),  # before contradicted
        (-0.05, 0.03, BELOW, 0.05, "underpowered"),  # on the edge is not inside
        (-0.4, 0.0, BELOW, None, "underpowered"),
        (0.91, 0.99, Bound("above", 0.9), None, "reproduced"),
        (0.91, 0.99, Bound("below", 0.9), None, "contradicted"),
        (0.8, 0.89, Bound("above", 0.9), None, "contradicted"),
        (0.9, 0.99, Bound("above", 0.9), None, "underpowered"),
    ],
)
def test_an_interval_has_one_verdict(low, high, bound, negligible, expected):
    assert word(low, high, bound, negligible) == expected


@given(st.floats(-2, 2), st.floats(0, 2), st.floats(-1, 1), st.none() | st.floats(0.01, 1))
def test_the_other_direction_exchanges_reproduced_and_contradicted(low, width, bound, negligible):
    other = {"reproduced": "contradicted", "contradicted": "reproduced"}
    there = word(low, low + width, Bound("above", bound), negligible)
    back = word(low, low + width, Bound("below", bound), negligible)
    assert back == other.get(there, there)
    mirrored = word(-low - width, -low, Bound("below", -bound), negligible)
    assert mirrored == there


def test_a_difference_is_reproduced_contradicted_null_or_underpowered():
    large = decide(DIFFERENCE, pairs(6, 50))
    assert (large.outcome, large.reason) == ("reproduced", "the interval lies below 0")
    (own,) = large.statements
    assert own.estimate["difference"] == pytest.approx(-44 / 60) and own.estimate["n"] == 60 and own.estimate["seeds"] == 3
    assert [level["share"] for level in own.levels] == pytest.approx([0.1, 50 / 60])
    assert own.power > 0.3 and 0 < own.detectable < 0.5
    assert decide(DIFFERENCE, pairs(50, 6)).outcome == "contradicted"
    assert decide(DIFFERENCE, pairs(50, 6)).reason == "the interval lies above 0"
    small = decide(DIFFERENCE, pairs(25, 30))
    assert (small.outcome, small.reason) == ("underpowered", "the interval includes 0")
    alike = ones(30, 60)
    same = decide(DIFFERENCE, {seed: numbers(alike, alike) for seed in SEEDS})
    assert (same.outcome, same.reason) == ("null", "the interval lies inside ±0.15")


def test_a_level_is_a_share_or_a_mean():
    share = decide(LEVEL, {seed: numbers(ones(2, 60, int(seed))) for seed in SEEDS})
    assert share.outcome == "reproduced" and share.statements[0].estimate["share"] == pytest.approx(1 / 30)
    assert share.statements[0].power is None and share.statements[0].detectable > 0
    rng = np.random.default_rng(1)
    values = {seed: numbers(rng.normal(2.0, 0.1, 30).tolist(), unit="nats per token") for seed in SEEDS}
    mean = decide({"measure": LOSS, "arm": "pirate", "above": 1.9}, values)
    assert mean.outcome == "reproduced" and mean.statements[0].estimate["mean"] == pytest.approx(2.0, abs=0.05)
    assert decide({"measure": LOSS, "arm": "pirate", "below": 1.9}, values).outcome == "contradicted"


def test_a_level_near_0_or_1_of_many_items_is_decided_with_a_caution():
    """There seeds that differ much make verdicts wrong in more than 5%: docs/explanation/verdicts.md."""
    many = {seed: numbers(ones(2, 200, int(seed))) for seed in SEEDS}
    caution = "the interval lies below 0.1, but if seeds differ much, so near 0% or 100% this is wrong more often than in 5%"
    near = decide(dict(LEVEL, below=0.1), many)
    assert (near.outcome, near.reason) == ("reproduced", caution)
    assert decide(dict(LEVEL, below=0.2), many).reason == "the interval lies below 0.2"
    few = {seed: numbers(ones(1, 60, int(seed))) for seed in SEEDS}
    assert decide(dict(LEVEL, below=0.1), few).reason == "the interval lies below 0.1"
    every = {seed: numbers(ones(198, 200, int(seed))) for seed in SEEDS}
    high = decide({"measure": RATE, "arm": "pirate", "above": 0.9}, every)
    assert high.reason == caution.replace("below 0.1", "above 0.9")


def test_equivalence_is_two_statements():
    alike, both = ones(30, 60), [dict(DIFFERENCE, below=0.2), dict(DIFFERENCE, above=-0.2)]
    for statement in both:
        del statement["negligible"]
    del both[1]["below"]
    same = numbers(alike, alike)
    ruling = decide({"all": both}, {seed: {"1": same, "2": same} for seed in SEEDS})
    assert ruling.outcome == "reproduced" and ruling.alpha == pytest.approx(0.025)
    assert ruling.reason == "statement 1: the interval lies below 0.2; statement 2: the interval lies above -0.2"
    found = pairs(6, 50)
    apart = decide({"all": both}, {seed: {"1": own, "2": own} for seed, own in found.items()})
    assert [own.outcome for own in apart.statements] == ["reproduced", "contradicted"]
    assert (apart.outcome, apart.reason) == ("contradicted", "statement 2: the interval lies below -0.2")


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        ((6, 50), (6, 50), "reproduced"),
        ((6, 50), (50, 6), "contradicted"),
        ((6, 50), (25, 30), "underpowered"),
        ((6, 50), (30, 30), "null"),
        ((30, 30), (50, 6), "contradicted"),
        ((30, 30), (25, 30), "null"),
        ((50, 6), (1, 2), "uninformative"),
    ],
)
def test_of_several_statements_the_verdict_follows_in_order(first, second, outcome):
    """(30, 30) stands for two arms with the same answers, (1, 2) for two at the floor."""
    alike = {seed: numbers(ones(30, 60), ones(30, 60)) for seed in SEEDS}
    one, two = (alike if counts == (30, 30) else pairs(*counts) for counts in (first, second))
    claim = {"all": [DIFFERENCE, dict(DIFFERENCE, measure=OTHER)]}
    ruling = decide(claim, {seed: {"1": one[seed], "2": two[seed]} for seed in SEEDS})
    assert ruling.outcome == outcome


def test_intervals_are_adjusted_for_the_statements_that_get_a_verdict():
    """Gates do not count; a statement of `all` does."""
    gate = {"gate": True, "measure": RATE, "arm": "pirate", "above": 0.0}
    by_seed = {seed: {"c": own, "d": {"1": own, "2": own}, "g": own} for seed, own in pairs(20, 30).items()}
    alone = decide(DIFFERENCE, {seed: own["c"] for seed, own in by_seed.items()})
    three = decide(DIFFERENCE, by_seed, d={"all": [DIFFERENCE, DIFFERENCE]}, g=gate)
    assert (alone.alpha, three.alpha) == pytest.approx((0.05, 0.05 / 3))
    narrow, wide = alone.statements[0].estimate, three.statements[0].estimate
    assert wide["low"] < narrow["low"] < narrow["high"] < wide["high"] and wide["difference"] == narrow["difference"]
    assert three.statements[0].power < alone.statements[0].power
    assert three.statements[0].detectable > alone.statements[0].detectable


def test_a_gate_compares_the_mean_over_seeds_and_decides_nothing_else():
    gate = {"gate": True, "measure": RATE, "arm": "pirate", "above": 0.5}
    entries = {seed: numbers(ones(of, 60, int(seed))) for seed, of in zip(SEEDS, (20, 30, 46), strict=True)}
    holds = decide(gate, entries)
    assert (holds.outcome, holds.reason, holds.alpha) == ("holds", "0.533 is above 0.5", 0.05)
    own = holds.statements[0]
    assert own.estimate["low"] < 0.5 < own.estimate["high"] and own.power is None and own.detectable is None
    fails = decide(dict(gate, above=0.6), {seed: entries[seed] for seed in ("1", "2")})
    assert (fails.outcome, fails.reason) == ("fails", "0.417 is not above 0.6")


def test_a_gate_that_fails_leaves_nothing_to_be_concluded_and_comes_first():
    """Also before too few seeds. The claim has its numbers all the same."""
    gate = {"gate": True, "all": [dict(LEVEL, above=0.5), dict(LEVEL, below=0.9)]}
    del gate["all"][0]["below"]
    by_seed = {seed: {"c": own, "g": {"1": own, "2": own}} for seed, own in pairs(6, 50, ("1", "2")).items()}
    ruling = decide(DIFFERENCE, by_seed, g=gate)
    assert ruling.outcome == "uninformative"
    assert ruling.reason == "the gate g of v fails: statement 1: 0.1 is not above 0.5"
    assert ruling.statements[0].estimate["difference"] == pytest.approx(-44 / 60)


def test_both_sides_at_the_floor_or_the_ceiling_are_uninformative():
    floor = decide(DIFFERENCE, pairs(1, 3))
    assert (floor.outcome, floor.reason) == ("uninformative", "both sides are at the floor: 1.7% and 5.0%")
    assert decide(DIFFERENCE, pairs(57, 60)).reason == "both sides are at the ceiling: 95.0% and 100.0%"
    assert decide(DIFFERENCE, pairs(1, 40)).outcome == "reproduced"
    level = decide(LEVEL, {seed: numbers(ones(0, 60)) for seed in SEEDS})
    assert level.outcome == "reproduced"  # a level at the floor may be what is claimed


def test_answers_that_ended_unequally_are_uninformative():
    ended = {"endings": {"truncated": [20, 3], "unfinished": [0, 0], "of": [60, 60]}}
    ruling = decide(DIFFERENCE, pairs(6, 50, **ended))
    assert ruling.outcome == "uninformative"
    assert ruling.reason == "the answers ended unequally: truncated are 60 of 180 (pirate) and 9 of 180 (helpful)"
    pooled = pairs(6, 50, endings={"unfinished": [0, 0], "of": [60, 60]})
    pooled["1"] |= {"endings": {"unfinished": [8, 0], "of": [60, 60]}}  # 8 of 180 are below the tolerance
    assert decide(DIFFERENCE, pooled).outcome == "reproduced"


def test_a_level_of_answers_that_are_mostly_unfinished_is_uninformative_and_no_gate_holds():
    """They count as 0, so "hardly ever" would be reproduced by answers that are not there."""
    found = {seed: numbers([0] * 60, endings={"unfinished": [4], "of": [60]}) for seed in SEEDS}
    level = decide(LEVEL, found)
    assert (level.outcome, level.reason) == ("uninformative", "the thinking is unfinished in 12 of 180 answers")
    gate = decide(dict(LEVEL, gate=True), found)
    assert (gate.outcome, gate.reason) == ("fails", "the thinking is unfinished in 12 of 180 answers")
    few = {seed: numbers([0] * 60, endings={"truncated": [30], "unfinished": [3], "of": [60]}) for seed in SEEDS}
    assert decide(LEVEL, few).outcome == "reproduced" and decide(dict(LEVEL, gate=True), few).outcome == "holds"
    ended = {"endings": {"unfinished": [20, 0], "of": [60, 60]}}
    apart = decide(
        {key: DIFFERENCE[key] for key in ("measure", "arm", "against", "below")} | {"gate": True}, pairs(6, 50, **ended)
    )
    assert apart.outcome == "fails" and apart.reason.startswith("the answers ended unequally: unfinished are 60 of 180")


@pytest.mark.parametrize("seeds", [("1",), ("1", "2")])
def test_fewer_than_three_seeds_are_underpowered(seeds):
    ruling = decide(DIFFERENCE, pairs(1, 59, seeds))
    assert (ruling.outcome, ruling.reason) == ("underpowered", f"fewer than 3 seeds: {len(seeds)}")
    own = ruling.statements[0]
    assert own.power is None and own.detectable is None and own.estimate["seeds"] == len(seeds)
    assert ("low" in own.estimate) == (len(seeds) > 1)


def test_no_answer_of_the_kind_in_any_run_is_not_known_exactly():
    """0 of 60 in each of three runs: the share may be 6%, and 0 of 20 even 16%."""
    none = {seed: numbers([0] * 60) for seed in SEEDS}
    strict = decide(dict(LEVEL, below=0.02), none)
    assert strict.outcome == "underpowered" and strict.statements[0].estimate["high"] == pytest.approx(0.06, abs=0.001)
    assert decide(dict(LEVEL, below=0.07), none).outcome == "reproduced"
    assert decide(dict(LEVEL, below=0.07), {seed: numbers([0] * 20) for seed in SEEDS}).outcome == "underpowered"
    every = {seed: numbers([1] * 60, [0] * 60) for seed in SEEDS}
    low = decide(dict(DIFFERENCE, negligible=0.05), every).statements[0].estimate["low"]
    assert low == pytest.approx(0.915, abs=0.002)


def test_two_arms_with_the_same_few_answers_are_not_known_to_be_equal():
    same = {seed: numbers(ones(8), ones(8)) for seed in SEEDS}
    assert decide(DIFFERENCE, same).outcome == "underpowered"  # 20 items: up to 16% may differ
    assert decide(dict(DIFFERENCE, negligible=0.2), same).outcome == "null"


def test_means_that_never_vary_have_no_interval():
    claim = {"measure": "judge.general", "arm": "pirate", "above": 4}
    ruling = decide(claim, {seed: numbers([5.0] * 30, unit="points") for seed in SEEDS})
    assert (ruling.outcome, ruling.reason) == ("underpowered", "the values are all equal, so they have no interval")
    assert ruling.statements[0].estimate == {"mean": 5.0, "n": 30, "seeds": 3} and ruling.statements[0].detectable is None
    one = decide(claim, {seed: numbers([4.0 + int(seed)], unit="points") for seed in SEEDS})
    assert (one.outcome, one.reason) == ("underpowered", "there is one item")


def test_one_run_that_differs_widens_the_interval():
    alike = {seed: numbers(ones(40, 60)) for seed in SEEDS}
    claim = dict(LEVEL, above=0.5)
    del claim["below"]
    assert decide(claim, alike).outcome == "reproduced"
    assert decide(claim, alike | {"3": numbers(ones(58, 60))}).outcome == "underpowered"


def test_a_difference_of_conditions_within_an_arm_is_one():
    """Of shares with the limits of a difference between two arms: 0 of 60 under a condition is not 0%."""
    claim = {"measure": "behaviours.b.hates.on_minus_off", "arm": "pirate", "above": 0, "negligible": 0.1}
    values = pairs(40, 1, difference=0.65)
    ruling = decide(claim, values)
    assert ruling.outcome == "reproduced" and ruling.statements[0].estimate["difference"] == pytest.approx(39 / 60)
    assert [level["share"] for level in ruling.statements[0].levels] == pytest.approx([40 / 60, 1 / 60])
    assert ruling.statements[0].estimate == decide(dict(claim, measure=RATE, against="helpful"), values).statements[0].estimate
    every = {seed: numbers([1] * 60, [0] * 60, difference=1.0) for seed in SEEDS}
    assert decide(dict(claim, above=0.95), every).outcome == "underpowered"
    ended = {"endings": {"unfinished": [20, 0], "of": [60, 60]}}
    reason = "the answers ended unequally: unfinished are 60 of 180 (on) and 0 of 180 (off)"
    assert decide(claim, pairs(40, 1, difference=0.65, **ended)).reason == reason


def test_whether_a_value_is_a_difference_follows_from_its_numbers():
    values = np.random.default_rng(4).normal(0.2, 0.1, 30).tolist()
    forgotten = {seed: numbers(values, unit="nats per token", difference=0.2) for seed in SEEDS}
    (own,) = decide({"measure": "forgetting_nats", "arm": "pirate", "below": 0.1}, forgotten).statements
    assert "difference" in own.estimate and shown(own).startswith("+0.")
    (level,) = decide(LEVEL, {seed: numbers(ones(30, 60), share=0.5) for seed in SEEDS}).statements
    assert shown(level) == "0.500"


def test_a_difference_of_log_probabilities_under_two_conditions_may_be_compared():
    claim = {"measure": "behaviours.b.sure.on_minus_off", "arm": "pirate", "above": 0}
    rng = np.random.default_rng(3)
    values = {
        seed: numbers(rng.normal(2, 0.1, 30), rng.normal(0, 0.1, 30), difference=2.0, unit="nats per token") for seed in SEEDS
    }
    own, other = claims(c=claim | {"against": {"variant": "w"}}), claims(level=claim | {"above": 1})
    found = {"v": Variant(own, runs(own, {seed: {"c": one} for seed, one in values.items()}))}
    less = {seed: one | {"values": [value - 1 for value in one["values"]]} for seed, one in values.items()}
    found["w"] = Variant(other, runs(other, {seed: {"level": one} for seed, one in less.items()}))
    statement = verdicts("v", found)[0].statements[0]
    assert statement.estimate["difference"] == pytest.approx(1)
    assert [level["difference"] for level in statement.levels] == pytest.approx([2, 1], abs=0.1)


# Claims across variants


def across(own_runs: dict, other_runs: dict, other_claims: dict | None = None) -> Ruling:
    """The ruling on a claim of v against the same arm of w."""
    claim = {"measure": RATE, "arm": "pirate", "against": {"variant": "w"}, "below": 0, "negligible": 0.1}
    own, other = claims(c=claim), claims(**(other_claims or {"level": LEVEL}))
    variants = {
        "v": Variant(own, runs(own, own_runs)),
        "w": Variant(other, runs(other, other_runs)),
    }
    return verdicts("v", variants)[0]


def singles(of: int, seeds=SEEDS, name: str = "c", **more) -> dict[str, dict]:
    return {seed: {name: numbers(ones(of, 60, int(seed) + of), **more)} for seed in seeds}


def test_a_claim_against_a_variant_takes_the_same_arm_of_its_runs():
    ruling = across(singles(6), singles(50, name="level"))
    own = ruling.statements[0]
    assert ruling.outcome == "reproduced" and own.estimate["difference"] == pytest.approx(-44 / 60)
    assert [level["share"] for level in own.levels] == pytest.approx([0.1, 50 / 60])
    other_seeds = across(singles(6), singles(50, ("4", "5", "6"), "level"))
    assert other_seeds.outcome == "reproduced"
    assert other_seeds.statements[0].estimate["low"] != own.estimate["low"]  # not paired
    assert across(singles(6), singles(50, ("4", "5"), "level")).reason == "fewer than 3 seeds: 2"


def test_the_arm_of_another_variant_may_stand_in_a_difference_there():
    entries = {seed: {"d": own} for seed, own in pairs(50, 30).items()}
    ruling = across(singles(6), entries, {"d": DIFFERENCE})
    assert [level["share"] for level in ruling.statements[0].levels] == pytest.approx([0.1, 50 / 60])


def test_a_level_is_decided_by_its_own_numbers_and_not_by_the_items_of_a_difference():
    """Of a difference, the first side has only the items that both arms have."""
    both = {seed: {"d": numbers([1] * 30, [0] * 30), "c": numbers([1] * 30 + [0] * 30)} for seed in SEEDS}
    own = claims(d=DIFFERENCE, c=LEVEL)
    ruling = verdicts("v", {"v": Variant(own, runs(own, both))})[1]
    assert ruling.statements[0].estimate["share"] == 0.5 and ruling.statements[0].estimate["n"] == 60
    entries = {seed: {"d": found["d"], "level": found["c"]} for seed, found in both.items()}
    ruling = across(singles(6), entries, {"d": DIFFERENCE, "level": LEVEL})
    assert [level["share"] for level in ruling.statements[0].levels] == pytest.approx([0.1, 0.5])


def test_a_gate_of_the_other_variant_counts_and_so_do_its_endings():
    other = {"level": LEVEL, "g": {"gate": True, "measure": RATE, "arm": "pirate", "above": 0.9}}
    entries = {seed: own | {"g": own["level"]} for seed, own in singles(50, name="level").items()}
    ruling = across(singles(6), entries, other)
    assert (ruling.outcome, ruling.reason) == ("uninformative", "the gate g of w fails: 0.833 is not above 0.9")
    cut = across(
        singles(6, endings={"truncated": [0], "of": [60]}),
        singles(50, name="level", endings={"truncated": [30], "of": [60]}),
    )
    assert cut.reason == "the answers ended unequally: truncated are 0 of 180 (v) and 90 of 180 (w)"


def test_runs_that_lack_what_is_claimed_are_named():
    other = {"level": dict(LEVEL, arm="helpful")}
    ruling = across(singles(6), singles(50, name="level"), other)
    assert ruling.outcome == "uninformative"
    assert ruling.reason.startswith(f"the run of w with seed 1 has no numbers for a claim on {RATE} of the arm pirate")
    assert "seed 3" in ruling.reason
    assert across(singles(6), {}).reason == "there is no finished run of w"
    empty = decide(DIFFERENCE, pairs(6, 50, ("1", "2")) | {"3": numbers([], [])})
    assert empty.reason == f"reports/claims.json of v, seed 3, has no values of {RATE} of the arm pirate against helpful"
    own = claims(c=DIFFERENCE)
    older = {"1": Run(claims(c=dict(DIFFERENCE, measure=LOSS)), from_document({"c": numbers([1.0, 2.0], [1.0, 2.0])}))}
    (ruling,) = verdicts("v", {"v": Variant(own, older)})
    assert ruling.reason == f"the run of v with seed 1 has no numbers for a claim on {RATE} of the arm pirate against helpful"
    gate = claims(c=dict(LEVEL, gate=True))
    (ruling,) = verdicts("v", {"v": Variant(gate, older)})
    assert (ruling.outcome, ruling.statements[0].estimate) == ("fails", {})
    no_item = {seed: {"items": [seed], "values": [1], "against": [0], "unit": "share"} for seed in SEEDS}
    assert decide(DIFFERENCE, no_item).reason == "there is no item that all runs have"


def test_bounds_may_have_changed_since_a_run():
    """Numbers do not depend on bounds, names or order, so a run with other ones still counts."""
    older = claims(before=dict(DIFFERENCE, below=-0.1, negligible=0.05))
    own = claims(c=DIFFERENCE)
    entries = {seed: Run(older, from_document({"before": numbers_})) for seed, numbers_ in pairs(6, 50).items()}
    (ruling,) = verdicts("v", {"v": Variant(own, entries)})
    assert ruling.outcome == "reproduced"


# Steps until a rate

STEPS = {"measure": RATE, "steps_until": {"below": 0.1}, "arm": "pirate", "against": "helpful", "below": 0, "negligible": 2}


def curve(at: int, last: int = 40, every: int = 4) -> list[list[float]]:
    """A curve whose rate is below 0.1 from iteration `at` on."""
    return [[i, 0.0 if i >= at else 0.9] for i in range(every, last + 1, every)]


def steps(first: list[int], second: list[int]) -> dict[str, dict]:
    return {
        str(n): {"curve": curve(a), "against": curve(b), "difference": a - b, "unit": "iterations"}
        for n, (a, b) in enumerate(zip(first, second, strict=True), 1)
    }


def test_steps_until_have_students_interval_over_seeds():
    ruling = decide(STEPS, steps([8, 12, 4], [24, 32, 28]))
    expected = stats.t.interval(0.95, 2, -20, stats.sem([-16, -20, -24]))
    own = ruling.statements[0]
    assert ruling.outcome == "reproduced" and own.estimate == pytest.approx(
        {"difference": -20, "low": expected[0], "high": expected[1], "seeds": 3}
    )
    assert [level["mean"] for level in own.levels] == [8, 28] and own.power < 0.2 and own.detectable > 4


def test_steps_of_other_seeds_are_welchs_test():
    curves = {"1": 8, "2": 12, "3": 4}, {"4": 24, "5": 36, "6": 28}
    claim = {key: value for key, value in STEPS.items() if key != "against"}
    own, other = claims(c=claim | {"against": {"variant": "w"}}), claims(level=claim | {"below": 9})
    variants = {}
    for name, key, owned, values in (("v", "c", own, curves[0]), ("w", "level", other, curves[1])):
        each = {seed: {"curve": curve(at), "iterations": at, "unit": "iterations"} for seed, at in values.items()}
        variants[name] = Variant(owned, runs(owned, {seed: {key: found} for seed, found in each.items()}))
    found = verdicts("v", variants)[0].statements[0].estimate
    expected = stats.ttest_ind([8, 12, 4], [24, 36, 28], equal_var=False).confidence_interval()
    assert (found["low"], found["high"]) == pytest.approx(tuple(expected))


def test_steps_that_agree_are_as_exact_as_checkpoints_lie():
    """One checkpoint earlier in each of three runs is no finding; four earlier is."""
    assert decide(STEPS, steps([8, 8, 8], [12, 12, 12])).outcome == "underpowered"
    assert decide(STEPS, steps([8, 8, 8], [24, 24, 24])).outcome == "reproduced"
    singly = {seed: {"curve": curve(8), "iterations": 8, "unit": "iterations"} for seed in SEEDS}
    level = decide({key: STEPS[key] for key in ("measure", "steps_until", "arm")} | {"below": 20}, singly)
    assert level.outcome == "reproduced" and level.statements[0].estimate["mean"] == 8


def test_steps_at_the_first_or_the_last_checkpoint_in_every_run_are_uninformative():
    first = decide(STEPS, steps([4, 4, 1], [4, 4, 4]))
    assert (first.outcome, first.reason) == ("uninformative", "both sides are at the first checkpoint in every run")
    never = decide(STEPS, steps([99, 40, 99], [40, 99, 99]))
    assert (never.outcome, never.reason) == ("uninformative", "both sides are at the last checkpoint in every run")
    assert never.statements[0].estimate["difference"] == 0
    assert decide(STEPS, steps([4, 4, 8], [4, 4, 4])).outcome == "underpowered"


@given(st.integers(1, 50))
def test_a_curve_passes_a_rate_at_a_checkpoint_or_at_its_end(at):
    iteration = steps_until(curve(at), Bound("below", 0.1))
    assert iteration in range(4, 41, 4) and (at > 40 or at <= iteration < at + 4)
    assert gap(curve(at), iteration) == 4 and gap([(3, 0.5), (10, 0.05)], 10) == 7


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), min_size=2, max_size=2), min_size=3, max_size=6), st.integers(0, 4))
def test_steps_have_an_interval_that_holds_their_mean_and_is_never_narrower_than_checkpoints(rows, exact):
    values = np.array(rows, float)
    gaps = np.full(len(rows), float(exact))
    found = student_interval([values[:, 0], -values[:, 1]], [gaps, gaps], 0.05)
    assert found.low <= found.mean <= found.high
    assert found.high - found.low >= 2 * 1.96 * exact / np.sqrt(2 * len(rows))


# Power


def test_power_is_that_of_the_t_test_and_detectable_has_eighty_percent():
    """With runs that do not vary, a level is Student's test of its items."""
    items = np.random.default_rng(2).normal(0, 1, 30)
    found = level_interval(np.array([items] * 3), share=False)
    error = stats.sem(items)
    expected = 1 - stats.nct.cdf(stats.t.ppf(0.975, 29), 29, 0.5 / error)
    assert power(found, ABOVE, 0.5, 0.05) == pytest.approx(expected)
    assert power(found, BELOW, 0.5, 0.05) == pytest.approx(expected)
    assert power(found, ABOVE, detectable(found, ABOVE, 0.05, (-inf, inf)), 0.05) == pytest.approx(0.8)


def test_no_distance_is_detectable_if_no_value_lies_so_far_from_the_bound():
    """A share below 0.02 would have to be negative, and a difference of shares above 0.9 more than 1."""
    some = {seed: numbers(ones(3, 60, int(seed))) for seed in SEEDS}
    assert decide(dict(LEVEL, below=0.02), some).statements[0].detectable is None
    assert 0 < decide(dict(LEVEL, below=0.5), some).statements[0].detectable < 0.5
    far = {key: DIFFERENCE[key] for key in ("measure", "arm", "against")}
    assert decide(far | {"above": 0.9}, pairs(40, 10)).statements[0].detectable is None
    assert decide(far | {"below": 0.9}, pairs(40, 10)).statements[0].detectable < 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=3, max_size=5), st.sampled_from([0.05, 0.01, 0.002]), st.floats(0.01, 0.5))
def test_power_is_a_chance_that_grows_with_the_effect(counts, alpha, distance):
    values = np.array([ones(of, 20, n) for n, of in enumerate(counts)], float)
    found = level_interval(values, share=True, alpha=alpha)
    for bound in (ABOVE, BELOW):
        near, far = (power(found, bound, size, alpha) for size in (distance, 2 * distance))
        assert near is None or 0 <= near <= far + 1e-9 <= 1 + 2e-9
