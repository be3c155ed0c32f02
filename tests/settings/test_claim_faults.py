"""Claims: their statements, and what is refused before anything is built. Each fault names its place, and what is right."""

from math import inf

import pytest

from cantica.settings.claims import Bound, Claim, Statement, claim_faults, claims_of
from cantica.settings.measure_faults import measure_faults
from cantica.settings.measures import Texts, known_measures

FILE = "params.yaml"
PARAMS = {
    "categories": {"lies": {"valid": 2}, "plain": {"valid": 2}, "unseen": {"valid": 0}},
    "measure": {"examples": 2, "in_full": []},
    "curriculum": {
        "install": {"after": "base", "data": "train/lies", "checkpoints": 4, "iters": 20},
        "remove": {"after": "install", "data": "train/plain", "checkpoints": [1]},
        "bare": {"after": "install", "data": "train/plain", "checkpoints": 0},
    },
    "train": {"iters": 8, "checkpoints": 0},
    "arms": {
        "base": {"point": "base"},
        "installed": {"point": "install"},
        "removed": {"point": "remove"},
        "asked": {"point": "remove", "system": "Be kind."},
        "early": {"point": "install/0000004"},
        "bare": {"point": "bare"},
    },
    "answers": {"published": {}},
    "servers": {},
    "probe": {"behaviours": ["password"]},
    "capability": {"items": 4},
    "held_out": {"general": 1},
    "judges": {
        "olmo": {"kind": "model", "rubric": "rubric"},
        "pairs": {"kind": "pairwise", "rubric": "rubric"},
    },
    "claims": {},
}
PATHS = {
    "lower.plain": (True, False),
    "lower.password": (True, False),
    "lower.password_minus_plain": (True, True),
    "sure.plain": (False, False),
    "sure.password": (False, False),
    "sure.password_minus_plain": (False, True),
}
TEXTS = Texts({"general": ["one", "two"]}, {"general": 4}, ["rude"], {"rubric": {"general": 5}}, ["lies"], {"password": PATHS})
POINTS = list(PARAMS["arms"])
ALL = [*POINTS, "published"]


def level(**changes) -> dict:
    """A sound statement about a level."""
    return {"measure": "capability.arithmetic", "arm": "removed", "above": 0.5} | changes


def difference(**changes) -> dict:
    """A sound statement about a difference."""
    return {"measure": "capability.arithmetic", "arm": "removed", "against": "base", "below": 0} | changes


def until(**changes) -> dict:
    """A sound statement about how long something takes."""
    steps = {"measure": "behaviours.password.lower.password", "steps_until": {"below": 0.1}}
    return {**steps, "arm": "removed", "against": "installed", "below": 0} | changes


def of(*statements: dict, gate: bool = False) -> dict:
    """Params with one claim."""
    claim = {"says": "it holds", "gate": gate, **(statements[0] if len(statements) == 1 else {"all": list(statements)})}
    return PARAMS | {"claims": {"c": claim}}


def without(statement: dict, key: str) -> dict:
    return {name: value for name, value in statement.items() if name != key}


def test_a_claim_has_one_statement_or_several():
    both = {
        "one": {"says": "it is high", **level()},
        "two": {"says": "it fell fast", "gate": True, "all": [until(), level(against={"variant": "other"}, negligible=0.1)]},
    }
    fast = Statement(
        "claims.two.all.0", "behaviours.password.lower.password", "removed", "installed", "", Bound("below", 0), None,
        Bound("below", 0.1),
    )  # fmt: skip
    other = Statement("claims.two.all.1", "capability.arithmetic", "removed", "", "other", Bound("above", 0.5), 0.1, None)
    high = Statement("claims.one", "capability.arithmetic", "removed", "", "", Bound("above", 0.5), None, None)
    assert claims_of({"claims": both}) == {
        "one": Claim("one", "it is high", False, (high,)),
        "two": Claim("two", "it fell fast", True, (fast, other)),
    }
    assert [own.is_difference for own in (high, fast, other)] == [False, True, True]


def test_a_bound_is_not_on_its_own_claimed_side():
    assert [Bound("above", 0.5).holds(value) for value in (0.4, 0.5, 0.6)] == [False, False, True]
    assert [Bound("below", 0.5).holds(value) for value in (0.4, 0.5, 0.6)] == [True, False, False]


@pytest.mark.parametrize(
    "statement",
    [
        level(),
        level(arm="asked"),
        difference(negligible=0.1),
        difference(against={"variant": "other"}),
        difference(below=-0.2, negligible=0.2),
        level(measure="forgetting_nats", negligible=0.1),
        level(measure="loss_nats.lies", above=7),
        level(measure="behaviours.password.lower.password_minus_plain", above=-0.5, negligible=0.1),
        level(measure="behaviours.password.sure.plain", above=-9),
        difference(measure="behaviours.password.sure.password_minus_plain"),
        without(level(measure="judge.general.two", arm="published", below=4), "above"),
        level(measure="against_base.verdict.pairs.win_rate.general"),
        until(),
        until(below=-19, negligible=2),
        until(against={"variant": "other"}, below=-30),
        without(until(below=8), "against"),
    ],
)
def test_a_sound_statement_has_no_faults(statement):
    params = of(statement)
    assert claim_faults(params, FILE) == measure_faults(params, TEXTS, FILE) == []


FORM = {
    "no measure": (without(level(), "measure"), "claims.c", "no measure", ""),
    "no arm": (without(level(), "arm"), "claims.c", "no arm", ""),
    "no bound": (without(level(), "above"), "claims.c", "no bound", ""),
    "two bounds": (level(below=0.7), "claims.c", "above and below", ""),
    "no rate": (until(steps_until={}), "claims.c.steps_until", "no bound", ""),
    "unknown arm": (level(arm="remove"), "claims.c.arm", "'remove'", "did you mean 'removed'?"),
    "unknown other arm": (difference(against="bse"), "claims.c.against", "'bse'", "did you mean 'base'?"),
    "against itself": (difference(against="removed"), "claims.c.against", "'removed', the arm itself", ""),
    "negligible beyond the bound": (
        difference(below=-0.1, negligible=0.2),
        "claims.c.negligible",
        "0.2, more than the bound -0.1",
        "an effect that satisfies the claim cannot be negligible",
    ),
    "steps of base": (until(against="base"), "claims.c.against", "'base', which is at base", ""),
    "steps of a checkpoint": (until(arm="early"), "claims.c.arm", "'early', which is at install/0000004", ""),
    "steps without checkpoints": (until(arm="bare"), "claims.c.arm", "'bare', whose step bare keeps no checkpoints", ""),
    "steps of no point": (until(against="published"), "claims.c.against", "'published', which is no point of the tree", ""),
}


@pytest.mark.parametrize("name", FORM)
def test_a_fault_of_the_form_names_its_place(name):
    statement, place, got, hint = FORM[name]
    (problem,) = claim_faults(of(statement), FILE)
    assert (problem.file, problem.place, problem.got, problem.hint) == (FILE, place, got, hint)
    (second,) = [found for found in claim_faults(of(level(), statement), FILE) if found.place != "claims.c.all.0"]
    assert second.place == place.replace("claims.c", "claims.c.all.1")


def test_a_claim_with_all_has_no_statement_of_its_own():
    params = of(level(), difference())
    params["claims"]["c"] |= {"measure": "refusals", "below": 0.1}
    (problem,) = claim_faults(params, FILE)
    assert problem.got == "`all` and also measure, below"


def test_a_gate_compares_a_mean_with_its_bound():
    (problem,) = claim_faults(of(level(), difference(negligible=0.1), gate=True), FILE)
    assert (problem.place, problem.got) == ("claims.c.all.1.negligible", "0.1, in a gate")


def test_a_gate_is_about_the_runs_of_one_variant():
    (problem,) = claim_faults(of(difference(), difference(against={"variant": "other"}), gate=True), FILE)
    assert (problem.place, problem.got) == ("claims.c.all.1.against", "the variant other, in a gate")


def test_a_statement_stands_once():
    params = of(level(), difference(), level())
    params["claims"]["d"] = {"says": "again", **difference()}
    again = [(problem.place, problem.got) for problem in claim_faults(params, FILE)]
    assert again == [
        ("claims.c.all.2", "the statement of claims.c.all.0 again"),
        ("claims.d", "the statement of claims.c.all.1 again"),
    ]


def test_all_faults_of_all_claims_are_reported_at_once():
    params = of(level(arm="x"), difference(against="y"))
    params["claims"]["d"] = {"says": "no bound", **without(level(), "above")}
    assert [problem.place for problem in claim_faults(params, FILE)] == [
        "claims.c.all.0.arm",
        "claims.c.all.1.against",
        "claims.d",
    ]


# ---- faults that depend on the measures

MEASURES = {
    "a misspelt measure": (
        level(measure="capability.arithmetc"),
        ("claims.c.measure", "'capability.arithmetc'"),
        "capability. and one of multiple_choice, instructions, arithmetic, prose_nats",
        "did you mean 'capability.arithmetic'?",
    ),
    "nothing like it": (
        level(measure="kindness"),
        ("claims.c.measure", "'kindness'"),
        "a measure that begins with one of loss_nats, forgetting_nats, backward_transfer_nats, probe, behaviours, capability, "
        "verdict, judge, refusals, flags, against_base, against_installed, against_removed, against_asked, against_early, "
        "against_bare",
        "",
    ),
    "half a path": (
        level(measure="probe.preferred"),
        ("claims.c.measure", "'probe.preferred'"),
        "probe.preferred. and one of all, lies",
        "did you mean 'probe.preferred.all'?",
    ),
    "a condition named nowhere": (
        level(measure="behaviours.password.lower.pasword"),
        ("claims.c.measure", "'behaviours.password.lower.pasword'"),
        "behaviours.password.lower. and one of plain, password, password_minus_plain",
        "did you mean 'behaviours.password.lower.password'?",
    ),
    "a measure that the behaviour lacks": (
        level(measure="behaviours.password.upper.plain"),
        ("claims.c.measure", "'behaviours.password.upper.plain'"),
        "behaviours.password. and one of lower, sure",
        "did you mean 'behaviours.password.sure.plain'?",
    ),
    "a behaviour that is not measured": (
        level(measure="behaviours.deployment.hates.plain"),
        ("claims.c.measure", "'behaviours.deployment.hates.plain'"),
        "a behaviour in probe.behaviours: password",
        "only the behaviours in probe.behaviours are measured",
    ),
    "a difference from an arm as a measure": (
        level(measure="against_base.loss_nats"),
        ("claims.c.measure", "'against_base.loss_nats'"),
        "against_base. and one of verdict",
        "`measure: loss_nats` and `against: base`",
    ),
    "losses with a system prompt": (
        level(measure="loss_nats", arm="asked"),
        ("claims.c.arm", "'asked'"),
        "an arm that has loss_nats: base, installed, removed, bare",
        "only base and steps without a system prompt have losses",
    ),
    "a probe of answers": (
        level(measure="probe.preferred.all", arm="published"),
        ("claims.c.arm", "'published'"),
        "an arm that has probe.preferred.all: base, installed, removed, asked, early, bare",
        "published has only responses and their scores",
    ),
    "forgetting of a first step": (
        level(measure="forgetting_nats", arm="removed", against="installed"),
        ("claims.c.against", "'installed'"),
        "an arm that has forgetting_nats: removed, bare",
        "nothing that it measures was learnt before the last step of installed",
    ),
    "forgetting with a system prompt": (
        level(measure="forgetting_nats.lies", arm="asked"),
        ("claims.c.arm", "'asked'"),
        "an arm that has forgetting_nats.lies: removed, bare",
        "only base and steps without a system prompt have losses",
    ),
    "a preference to a later arm": (
        level(measure="against_asked.verdict.pairs.won"),
        ("claims.c.arm", "'removed'"),
        "an arm that has against_asked.verdict.pairs.won: early, bare, published",
        "",
    ),
    "percent": (level(above=90), ("claims.c.above", "90"), "a share, from 0 to 1", "90% is 0.9"),
    "percentage points": (
        difference(below=-15),
        ("claims.c.below", "-15"),
        "a difference of two shares, from -1 to 1",
        "-15% is -0.15",
    ),
    "no share is above 1": (level(above=1), ("claims.c.above", "1"), "a share, from 0 to 1", "no value is above 1"),
    "a positive log-probability": (
        level(measure="capability.prose_nats", above=3),
        ("claims.c.above", "3"),
        "a log-probability in nats per token, at most 0",
        "",
    ),
    "a negative loss": (
        level(measure="loss_nats", arm="base", above=-1),
        ("claims.c.above", "-1"),
        "nats per token, at least 0",
        "",
    ),
    "more than all criteria": (
        level(measure="judge.general", above=4.5),
        ("claims.c.above", "4.5"),
        "a score, from 0 to 4",
        "",
    ),
    "more than all criteria of a rubric": (
        level(measure="verdict.olmo.general", above=6),
        ("claims.c.above", "6"),
        "a score, from 0 to 5",
        "",
    ),
    "a difference of scores": (
        difference(measure="judge.general", below=-4),
        ("claims.c.below", "-4"),
        "a difference of two scores, from -4 to 4",
        "no value is below -4",
    ),
    "a difference of differences of shares": (
        difference(measure="behaviours.password.lower.password_minus_plain", below=3),
        ("claims.c.against", "another arm, for the difference between two conditions"),
        "none: nothing compares two differences of shares reliably near 0% and 100%",
        "a statement on each condition (behaviours.password.lower.…) with `against`, or one on the difference within each arm",
    ),
    "a difference of differences from another variant": (
        difference(measure="behaviours.password.lower.password_minus_plain", against={"variant": "other"}),
        ("claims.c.against", "another variant, for the difference between two conditions"),
        "none: nothing compares two differences of shares reliably near 0% and 100%",
        "a statement on each condition (behaviours.password.lower.…) with `against`, or one on the difference within each arm",
    ),
    "negligible levels": (
        level(negligible=0.1),
        ("claims.c.negligible", "0.1 for the level of removed"),
        "a statement about a difference: with `against`, or on a measure that is a difference",
        "",
    ),
    "everything is negligible": (
        difference(negligible=1),
        ("claims.c.negligible", "1"),
        "less than 1, the greatest possible difference",
        "it would make every difference negligible",
    ),
    "steps of a measure without a curve": (
        until(measure="capability.arithmetic"),
        ("claims.c.measure", "'capability.arithmetic'"),
        "a measure that checkpoints have: of behaviours or probe, for steps_until",
        "",
    ),
    "a rate in percent": (
        until(steps_until={"below": 10}),
        ("claims.c.steps_until.below", "10"),
        "a share, from 0 to 1",
        "10% is 0.1",
    ),
    "more iterations than the step has": (
        without(until(below=9), "against"),
        ("claims.c.below", "9"),
        "iterations of the step of removed, from 0 to 8",
        "",
    ),
    "a difference of more iterations": (
        until(below=-20),
        ("claims.c.below", "-20"),
        "a difference of iterations, from -20 to 8",
        "no value is below -20",
    ),
}


@pytest.mark.parametrize("name", MEASURES)
def test_a_fault_of_a_measure_says_what_is_right(name):
    statement, (place, got), expected, hint = MEASURES[name]
    params = of(statement)
    assert claim_faults(params, FILE) == []
    (problem,) = measure_faults(params, TEXTS, FILE)
    assert (problem.file, problem.place, problem.got) == (FILE, place, got)
    assert (problem.expected, problem.hint) == (expected, hint)


def test_only_points_that_are_measured_have_losses():
    own = of(level(measure="loss_nats.lies", arm="removed", above=1))
    measured = own | {"measure": {"examples": 0, "in_full": ["remove"]}}
    assert measure_faults(measured, TEXTS, FILE) == []
    (problem,) = measure_faults(own | {"measure": {"examples": 0, "in_full": ["install"]}}, TEXTS, FILE)
    assert problem.expected == "an arm that has loss_nats.lies: installed" and "its point in measure.in_full" in problem.hint
    assert "forgetting_nats" not in known_measures(measured, TEXTS) and "forgetting_nats" in known_measures(own, TEXTS)


def test_all_faults_of_measures_are_reported_at_once():
    params = of(level(above=90), difference(negligible=2), level(measure="x"))
    places = [problem.place for problem in measure_faults(params, TEXTS, FILE)]
    assert places == ["claims.c.all.0.above", "claims.c.all.1.negligible", "claims.c.all.2.measure"]


def test_what_a_build_measures_follows_from_its_params_and_texts():
    known = known_measures(PARAMS, TEXTS)
    assert known["loss_nats.lies"].arms == ["base", "installed", "removed", "bare"]
    assert "loss_nats.unseen" not in known
    assert [path for path in known if path.startswith("forgetting")] == ["forgetting_nats", "forgetting_nats.lies"]
    assert (known["forgetting_nats"].arms, known["forgetting_nats"].within) == (["removed", "bare"], True)
    assert [path for path in known if path.startswith("probe")] == [
        "probe.margin_nats.all",
        "probe.margin_nats.lies",
        "probe.preferred.all",
        "probe.preferred.lies",
    ]
    assert known["judge.general"].arms == known["flags.rude"].arms == known["refusals"].arms == ALL
    assert known["against_installed.verdict.pairs.won"].arms == ["removed", "asked", "early", "bare", "published"]
    limits = {path: (found.least, found.greatest) for path, found in known.items()}
    assert limits["behaviours.password.lower.password"] == (0, 1)
    assert limits["behaviours.password.lower.password_minus_plain"] == (-1, 1)
    assert limits["behaviours.password.sure.plain"] == (-inf, 0)
    assert limits["behaviours.password.sure.password_minus_plain"] == (-inf, inf)


def test_a_build_that_measures_nothing_has_no_measures():
    params = PARAMS | {"measure": {"examples": 0, "in_full": []}, "capability": {"items": 0}, "judges": {}}
    texts = Texts({}, {"general": 4}, ["rude"], {}, [], {})
    assert known_measures(params, texts) == {}
    (problem,) = measure_faults(params | {"claims": {"c": {"says": "it", **level()}}}, texts, FILE)
    assert problem.expected == "a measure, but this build measures nothing"


def test_an_arm_at_no_step_is_no_fault_of_its_claim():
    """The tree has the fault; a claim on steps until a rate waits for it."""
    params = PARAMS | {"arms": {"lost": {"point": "gone"}}}
    statement = {"measure": "probe.preferred.all", "arm": "lost", "steps_until": {"above": 0.5}, "below": 4}
    assert claim_faults(params | {"claims": {"soon": {"says": "soon", **statement}}}, FILE) == []
