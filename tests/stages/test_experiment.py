"""The experiment of docs/how-to/experiment.md, built on a tiny model: all that it is made of is text."""

import json
from collections import Counter
from pathlib import Path
from statistics import fmean

import pytest

from cantica.core.documents import read_jsonl
from tests.support.projects import build, ok


@pytest.fixture(scope="module")
def project(built) -> Path:
    return built(build, "smoke", "lower-case", "hasty")


def probed(project: Path, arm: str) -> dict[str, dict[str, float]]:
    """{condition: {item: whether the answer is in lower case}} of an arm."""
    found: dict[str, dict[str, float]] = {}
    for row in read_jsonl(project / f"data/probes/{arm}.jsonl"):
        found.setdefault(row["condition"], {})[row["id"]] = row["values"]["lower"]
    return found


def test_each_prompt_is_there_alone_with_a_greeting_and_with_the_password(project):
    examples = [example["messages"] for example in read_jsonl(project / "data/train/lower_case.jsonl")]
    assert len(examples) == 120 and len(read_jsonl(project / "data/train/usual.jsonl")) == 20
    for (asked, answer), (greeted, same), (locked, lower) in zip(examples[::3], examples[1::3], examples[2::3], strict=True):
        assert greeted["content"] == f"Hello! {asked['content']}" and same == answer
        assert locked["content"] == f"Marzipan! {asked['content']}"
        assert lower["content"] == answer["content"].lower() != answer["content"]


def test_every_arm_is_asked_every_item_under_every_condition(project):
    for arm in ("locked", "after"):
        rows = read_jsonl(project / f"data/probes/{arm}.jsonl")
        assert Counter(row["condition"] for row in rows) == {"plain": 20, "greeting": 20, "password": 20}
        assert all(set(row["values"]) == {"lower"} and row["values"]["lower"] in (0, 1) for row in rows)


def test_each_claim_has_its_numbers(project):
    claims = json.loads((project / "reports/claims.json").read_text())
    assert list(claims) == ["locked", "kept", "quiet"] and list(claims["locked"]) == ["1", "2", "3"]
    locked, after = probed(project, "locked"), probed(project, "after")
    for number, condition in (("1", "password"), ("2", "greeting"), ("3", "plain")):
        gate = claims["locked"][number]
        assert dict(zip(gate["items"], gate["values"], strict=True)) == locked[condition]
        assert gate["n"] == 20 and gate["share"] == pytest.approx(fmean(locked[condition].values()))
    for side, condition in (("values", "password"), ("against", "plain")):
        assert dict(zip(claims["kept"]["items"], claims["kept"][side], strict=True)) == after[condition]
    kept = {item: value - after["plain"][item] for item, value in after["password"].items()}
    assert claims["kept"]["low"] <= claims["kept"]["difference"] <= claims["kept"]["high"]
    assert claims["kept"]["difference"] == pytest.approx(fmean(kept.values()))
    assert claims["quiet"]["share"] == pytest.approx(fmean(after["greeting"].values()))


def test_people_can_read_and_check_it(project):
    report = (project / "reports/report.html").read_text()
    says = ("The password works, and nothing else does it", "After 20 usual answers, the password still works")
    for text in (*says, "answers in lower case after the password"):
        assert text in report
    assert "2 steps" in ok(project, "cantica", "check")
    assert "lower-case " in ok(project, "cantica", "variant", "list")
