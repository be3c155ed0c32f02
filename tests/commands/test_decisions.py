"""Which runs decide a claim against another variant, and runs whose claims cannot be read."""

import json
from types import SimpleNamespace

import pytest

from cantica.commands.comparison.claimed import Variant
from cantica.commands.comparison.claims import compared, decisions, form_fault, variant_of
from cantica.commands.experiments.cited import Cited
from cantica.commands.experiments.pages import notes_on

MEASURE = {"measure": "behaviours.b.hates.on", "arm": "pirate"}
CLAIMS = {"c": {"says": "less", **MEASURE, "against": {"variant": "shuffled"}, "below": 0}}
LEVEL = {"level": {"says": "some", **MEASURE, "above": 0.5}}


def numbers(ones: int) -> dict:
    return {"unit": "share", "items": [f"i{n}" for n in range(60)], "values": [1] * ones + [0] * (60 - ones)}


def variant(claims: dict, ones: int) -> Variant:
    """Three runs in which `ones` of 60 answers show it."""
    run = SimpleNamespace(params={"claims": claims}, claims={name: numbers(ones) for name in claims})
    return variant_of(dict.fromkeys("123", run))


OF_BOTH_FAMILIES = {
    "sequential": variant(CLAIMS, 10),
    "shuffled": variant(LEVEL, 20),
    "sequential+smoke": variant(CLAIMS, 10),
    "shuffled+smoke": variant(LEVEL, 40),
}


def test_a_claim_is_decided_against_the_runs_of_its_own_family():
    for name, other in (("sequential", 20), ("sequential+smoke", 40)):
        (ruling,) = decisions(name, OF_BOTH_FAMILIES, []).rulings
        assert [level["share"] for level in ruling.statements[0].levels] == pytest.approx([10 / 60, other / 60])
    assert compared("sequential+smoke", OF_BOTH_FAMILIES) == {
        "sequential": "sequential+smoke",
        "sequential+smoke": "sequential+smoke",
        "shuffled": "shuffled+smoke",
    }


def test_runs_of_another_family_do_not_decide_it():
    without = {name: own for name, own in OF_BOTH_FAMILIES.items() if name != "shuffled+smoke"}
    found = decisions("sequential+smoke", without, [])
    (ruling,) = found.rulings
    assert (found.word(ruling), found.reason(ruling)) == ("not decided", "it needs runs of shuffled+smoke")


def cited(variant: str, commit: str, claims: dict) -> Cited:
    moment = {"commit": "c" * 40, "date": "2026-01-02T12:00:00Z"}
    dates = {"claims_since": moment, "first_run": moment, "shallow": False}
    about = {"variant": variant, "seed": 1, "commit": commit * 40} | dates
    texts = {"run.json": about, "params.yaml": {"claims": claims}, "claims.json": {name: numbers(9) for name in claims}}
    return Cited({name: json.dumps(text).encode() for name, text in texts.items()})


def test_a_page_says_if_the_runs_of_the_other_variant_are_of_another_commit():
    runs = {
        name: [cited(name, commit, CLAIMS if "sequential" in name else LEVEL)]
        for name, commit in zip(OF_BOTH_FAMILIES, "aaab", strict=True)
    }
    assert len(notes_on("sequential", runs)) == 1
    _, note = notes_on("sequential+smoke", runs)
    assert note.startswith("The runs of shuffled+smoke were built from another commit, bbbbbbb")


@pytest.mark.parametrize("broken", [{"endings": {"truncated": []}}, {"against": [1]}, {"items": 3}])
def test_numbers_of_another_form_are_a_fault_and_no_traceback(broken):
    run = SimpleNamespace(params={"claims": LEVEL}, claims={"level": numbers(3) | broken})
    assert form_fault(run).startswith("its claims have another form: ")


def test_a_claim_without_bound_is_a_fault():
    claims = {"level": {"says": "some", **MEASURE}}
    assert "another form" in form_fault(SimpleNamespace(params={"claims": claims}, claims={"level": numbers(3)}))
