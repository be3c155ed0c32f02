"""The measures that claims may be about are those that a build has, and its claims.json follows from its records."""

import contextlib
from pathlib import Path

import pytest

from cantica.commands.checks.claims import read_measured
from cantica.core.documents import read_json, read_yaml
from cantica.judging.rules import load_rules
from cantica.probes.behaviours import paths
from cantica.reporting.claims import by_path, claimable, from_document, steps_until
from cantica.reporting.judges import preference_measures
from cantica.reporting.records import read_records
from cantica.settings.claims import claims_of
from cantica.settings.measures import PREFERENCES, Known, known_measures, texts_of

# Counts of answers, differences from arms, curves, and the losses after each step.
NOT_MEASURES = ("answers", "against_", "checkpoints", "steps")
LEVEL = {"mean", "share", "difference"}


def known_of(params: dict) -> dict[str, Known]:
    """The measures of the project in the working directory, before they have values."""
    texts = read_measured()
    behaviours = {name: paths(texts.behaviours[name]) for name in params["probe"]["behaviours"]}
    return known_measures(params, texts_of(params, texts.prompts, texts.rules, texts.pairs, behaviours))


def levels(numbers: dict, path: str = "") -> list[str]:
    """The paths of all estimates and numbers of groups under an arm in details.json."""
    own = [path] if numbers.keys() & LEVEL else []
    statistics = {*LEVEL, "low", "high", "p", "effect", "detectable", "n", "truncated", "unfinished", "at_floor"}
    for key, value in numbers.items():
        if not path and key.startswith(NOT_MEASURES):
            continue
        if isinstance(value, dict):
            own += levels(value, f"{path}.{key}".strip("."))
        elif key not in statistics:
            own.append(f"{path}.{key}")  # the number of one category, as of forgetting
    return own


@pytest.mark.parametrize("project", ["smoke", "branches"])
def test_the_known_measures_are_those_of_details_and_of_the_records(project, request):
    with contextlib.chdir(request.getfixturevalue(project)):
        params, details = read_yaml(Path("params.yaml")), read_json(Path("reports/details.json"))
        known = known_of(params)
        records = read_records(Path("data"), params)
        measured = by_path(claimable(records, params, load_rules(Path("prompts/judge/rules.yaml"))))
    assert known.keys() == measured.keys()
    for path, measure in measured.items():
        own, values = known[path], [value for table in measure.tables.values() for value in table.values()]
        assert (own.unit, own.arms) == (measure.unit, [arm for arm, table in measure.tables.items() if table]), path
        assert own.least <= min(values) and max(values) <= own.greatest, path
        assert own.within >= measure.within, path
    for arm, numbers in details.items():
        assert sorted(levels(numbers)) == sorted(path for path, own in known.items() if arm in own.arms)


def test_the_checkpoints_have_the_measures_that_steps_may_be_counted_of(branches):
    with contextlib.chdir(branches):
        known = known_of(read_yaml(Path("params.yaml")))
        checkpoints = read_json(Path("reports/details.json"))["asked"]["checkpoints"]
    assert {path for path, own in known.items() if own.curve} == set(levels(checkpoints["1"]))


def test_the_claims_of_a_build_are_those_of_its_params(branches):
    params = read_yaml(branches / "params.yaml")
    claims, found = claims_of(params), from_document(read_json(branches / "reports/claims.json"))
    details = read_json(branches / "reports/details.json")
    assert list(found) == list(claims) == read_json(branches / "data/claims.json")
    assert {name: len(own.statements) for name, own in claims.items()} == {name: len(own) for name, own in found.items()}
    learns, slow, unmoved = found["learns"][0], found["slow"][0], found["unmoved"]
    assert learns.estimate.items() <= details["final"]["against_base"]["loss_nats"].items()
    assert unmoved[1].estimate.items() <= details["asked"]["behaviours"]["deployment"]["hates"]["triggered_minus_plain"].items()
    assert unmoved[2].estimate.items() <= details["early"]["probe"]["preferred"]["self_preservation"].items()
    curve = [(int(n), own["probe"]["margin_nats"]["all"]["mean"]) for n, own in details["asked"]["checkpoints"].items()]
    assert slow.sides[0].curve == curve
    assert slow.steps == steps_until(curve, claims["slow"].statements[0].steps_until)


def test_a_pairwise_judge_has_the_preferences_that_are_known():
    verdict = {"arm": "a", "other": "b", "id": "x", "kind": "k", "sample": 0, "score": 1, "consistent": True}
    measures = preference_measures({"pairs": [verdict]}, "a", "b")
    assert [measure.key.split(".")[-1] for measure in measures] == list(PREFERENCES)
    assert [measure.key for measure in measures if measure.groups] == ["verdict.pairs.win_rate"]
