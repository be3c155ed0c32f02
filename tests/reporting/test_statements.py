"""Claims as readers see them in the report of one run: numbers, bounds and doubts in words, and no verdict."""

import pytest

from cantica.reporting.claims import Numbers, Side
from cantica.reporting.pages import render
from cantica.reporting.statements import FILTERS, agreement, both, bound, doubt, passed, reach, stated, subject, value
from cantica.settings.claims import claims_of


def statement(**own):
    return claims_of({"claims": {"c": {"says": "it", "measure": "m", "arm": "final", **own}}})["c"].statements[0]


LEVEL = Numbers("share", (Side({"a": 1.0, "b": 1.0, "c": 0.0}),), {"share": 0.6667, "low": 0.2077, "high": 0.9385, "n": 3})
CHANGE = Numbers(
    "share",
    (Side({"a": 1.0, "b": 0.0}, ended={"truncated": 2, "of": 2}), Side({"a": 1.0, "b": 1.0}, ended={"truncated": 0, "of": 2})),
    {"difference": -0.5, "low": -1.0, "high": 0.0, "p": 1.0, "n": 2},
)
NATS = Numbers("nats per token", (Side({"a": -1.25}),), {"mean": -1.25, "n": 1})
STEPS = Numbers("iterations", (Side(curve=[(2, 0.9), (8, 0.1)]), Side(curve=[(2, 0.9), (8, 0.8), (20, 0.7)])), steps=-12)
NOTHING = Numbers("share", (Side(), Side()), {"n": 0})


@pytest.mark.parametrize(
    ("numbers", "texts"),
    [
        (LEVEL, ("67%", "[21, 94]", "")),
        (CHANGE, ("−50 pp", "[−100, 0]", "50% against 100%")),
        (NATS, ("−1.250", "n = 1", "")),
        (STEPS, ("−12", "one value, without an interval", "")),
        (NOTHING, ("–", "", "")),
    ],
)
def test_a_number_is_shown_in_its_unit(numbers, texts):
    assert (value(numbers), reach(numbers), both(numbers)) == texts


def test_a_bound_is_shown_in_the_unit_of_its_number():
    assert bound(statement(above=0.925), LEVEL) == "claimed: above 92.5%"
    words = "claimed: below −10 pp; differences up to ±7.5 pp are negligible"
    assert bound(statement(against="base", below=-0.1, negligible=0.075), CHANGE) == words
    assert bound(statement(above=-1.5), NATS) == "claimed: above −1.5"


def test_what_a_statement_is_about():
    assert subject(statement(above=0)) == "m, final"
    assert subject(statement(above=0, against="base")) == "m, final minus base"
    until = statement(above=0, against={"variant": "other"}, steps_until={"below": 0.1}, negligible=2)
    assert stated(until) == "iterations until m is below 0.1, final minus final of other, above 0 (negligible: 2)"


def test_when_each_side_passed_the_rate():
    until = statement(below=0, against="base", steps_until={"below": 0.5})
    assert passed(until, STEPS) == ["final: after 8", "base: not by the end, which counts as 20"]
    assert passed(statement(above=0), LEVEL) == []


@pytest.mark.parametrize(
    ("own", "numbers", "words"),
    [
        ({"above": 0.2}, LEVEL, "this run agrees"),
        ({"above": 0.3}, LEVEL, "undecided in this run"),
        ({"below": 0.2}, LEVEL, "this run disagrees"),
        ({"above": -2}, NATS, ""),
        ({"above": 0.2, "against": {"variant": "other"}}, LEVEL, ""),
        ({"above": -2, "against": "base"}, CHANGE, "not comparable"),
        ({"below": 0, "against": "base", "steps_until": {"below": 0.5}}, STEPS, ""),
    ],
)
def test_a_run_agrees_where_its_interval_lies_on_the_claimed_side(own, numbers, words):
    assert agreement(statement(**own), numbers) == words


def test_sides_whose_answers_ended_differently_are_doubtful():
    words = "not comparable (2 of 2 answers of final were truncated, 0 of 2 of base)"
    assert doubt(statement(below=0, against="base"), CHANGE) == words
    assert doubt(statement(above=0), LEVEL) == doubt(statement(below=0, against="base"), NOTHING) == ""


def test_the_page_has_each_claim_with_its_numbers_and_no_verdict():
    claims = {
        "installed": {"says": "it <works>", "gate": True, "measure": "m", "arm": "final", "above": 0.9},
        "fast": {"says": "and fast", "measure": "m", "arm": "final", "against": "base", "below": 0} | {
            "steps_until": {"below": 0.5}
        },
        "other": {"says": "more than another", "measure": "m", "arm": "final", "against": {"variant": "other"}, "below": 0},
    }  # fmt: skip
    claimed = {"installed": [LEVEL], "fast": [STEPS], "other": [LEVEL]}
    page = render("claims.html.j2", {"claims": claims_of({"claims": claims}), "claimed": claimed, "titles": {}}, FILTERS)
    text = " ".join(page.split())
    assert '<h3 class="claim">It &lt;works&gt; <span class="note">installed, a gate</span></h3>' in text
    assert "<code>m, final</code>. Claimed: above 90%. <b" in text and text.count("in this run.</b>") == 1
    assert "final: after 8; base: not by the end, which counts as 20" in text
    assert "this run has the level of final, and the difference needs runs of other too" in text
    assert "One run decides nothing" in text
    assert not [word for word in ("reproduced", "contradicted", "underpowered") if word in text]
