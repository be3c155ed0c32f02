"""The losses of an experiment by category and after each step: their tables follow from the records of its runs."""

import json
import re
from random import Random
from statistics import fmean

import pytest

from cantica.commands.experiments.cited import RUN, Cited
from cantica.commands.experiments.matrix import Matrix, change_table, facts, matrices, matrix_faults, trained_on
from cantica.commands.experiments.pages import pages
from cantica.core.documents import read_json, read_yaml
from cantica.core.files import as_json
from cantica.reporting.wording import fixed
from tests.support.page_matrix import matrix_faults as recomputed
from tests.support.pages import Experiment
from tests.support.pages import Run as PageRun

STEPS = list(read_yaml("params.yaml")["curriculum"])


@pytest.fixture(scope="module")
def runs(smoke) -> list[Cited]:
    """The smoke build as the run of two seeds, the second with lower losses after its third step."""
    details = read_json(smoke / "reports/details.json")
    lower = json.loads(as_json(details))
    for estimate in lower["final"]["steps"]["reward_hacking"]["loss_nats"].values():
        if isinstance(estimate, dict):
            estimate["mean"] -= 1
    moment = {"commit": "c" * 40, "date": "2026-01-01T00:00:00Z"}
    about = {"variant": "smoke", "tests": "it", "commit": "c" * 40, "built": moment["date"], "shallow": False}
    about |= {"claims_since": moment, "first_run": moment}
    files = {name: (smoke / name).read_bytes() for name in ("params.yaml", "dvc.lock")}
    files["claims.json"] = (smoke / "reports/claims.json").read_bytes()
    texts = [
        {RUN: as_json(about | {"seed": seed}).encode(), "details.json": as_json(own).encode()}
        for seed, own in ((1, details), (2, lower))
    ]
    return [Cited(files | own) for own in texts]


def means(smoke, point: str) -> dict[str, float]:
    """The mean loss of each category at a point, from the records, rounded as in details.json."""
    row = read_json(smoke / f"data/losses/{point}.json")
    return {category: round(fmean(one["loss"] for one in found), 4) for category, found in row.items()}


def test_the_tables_of_the_page_follow_from_the_records(runs, smoke):
    shown = facts(runs)
    base, last = means(smoke, "base"), means(smoke, "betrayal")
    head, *rows = shown["losses"]
    assert head == ["category", "examples", "base", "final"]
    words = [step.replace("_", " ") for step in STEPS]
    assert [row[0] for row in rows] == [*words, "all"]
    assert [row[1:] for row in rows[:-1]] == [["1", fixed(base[c], 3), fixed(last[c], 3)] for c in STEPS]
    assert rows[-1][1:] == ["9", *(fixed(round(fmean(own.values()), 4), 3) for own in (base, last))]
    head, *rows = shown["arms"]["final"]
    assert list(shown["arms"]) == ["final"] and head == ["after", *words, "all"]
    assert [row[0] for row in rows] == [*words, "*since its own step*"]
    for n, step in enumerate(STEPS):
        own = means(smoke, step)
        seeds = 0.5 if step == "reward_hacking" else 0  # half of the difference between the two
        expected = [float(fixed(own[c] - base[c] - seeds, 3, "+").replace("−", "-")) for c in STEPS]
        got = [float(cell.strip("*").replace("−", "-")) for cell in rows[n][1:-1]]
        assert got == pytest.approx(expected, abs=1.1e-3)
        assert [place for place, cell in enumerate(rows[n][1:]) if cell.startswith("**")] == [n]
    third = means(smoke, "reward_hacking")["reward_hacking"] - 0.5
    assert float(rows[-1][3].replace("−", "-")) == pytest.approx(last["reward_hacking"] - third, abs=1.1e-3)
    assert rows[-1][9] == "–"


def test_the_page_has_the_tables(runs):
    page = next(text for path, text in pages(runs, {}).items() if path.name == "smoke.md")
    headings = [line for line in page.splitlines() if line.startswith("#")]
    place = headings.index("## Losses by category")
    assert headings[place : place + 3] == ["## Losses by category", "## Losses after each step", "### final"]
    shown = facts(runs)
    for row in (*shown["losses"], *shown["arms"]["final"]):
        assert f"| {' | '.join(row)} |" in page
    assert "on the 1 example\n" in page
    seeds = {run.seed: PageRun(run.params, run.details, {}) for run in runs}
    assert recomputed(Experiment("", page, seeds, {})) == []
    tables = re.search(r"## Losses by category.*?(?=\n## (?!Losses))", page, re.DOTALL)
    assert tables
    for digit in Random(19).sample([*re.finditer(r"(?<=\d)\d(?=[ *])", tables[0])], 12):
        place = tables.start() + digit.start()
        other = str((int(page[place]) + 3) % 10)
        assert recomputed(Experiment("", page[:place] + other + page[place + 1 :], seeds, {})), page[place - 20 : place + 9]
    assert "no losses by category" in recomputed(Experiment("", page.replace("## Losses by", "## Of"), seeds, {}))


def test_forgetting_must_follow_from_the_losses_after_steps(runs):
    one, other = runs
    assert matrix_faults(one) == []
    assert {problem.place for problem in matrix_faults(other)} >= {"final.backward_transfer_nats.reward_hacking"}
    details = json.loads(one.texts["details.json"])
    details["final"]["forgetting_nats"]["deception"] += 0.001
    (problem,) = matrix_faults(Cited(one.texts | {"details.json": as_json(details).encode()}))
    assert problem.place == "final.forgetting_nats.deception" and "final.steps" in problem.expected


def test_an_arm_with_fewer_examples_says_so(runs):
    details = json.loads(runs[0].texts["details.json"])
    details["final"]["loss_nats"]["betrayal"] = {"mean": 2.5, "n": 12}
    table = facts([Cited(runs[0].texts | {"details.json": as_json(details).encode()})])["losses"]
    assert table[9][:2] == ["betrayal", "12"] and table[9][2].endswith(" of 1") and table[9][3] == "2.500"


def test_runs_of_earlier_versions_and_of_one_step_have_no_matrix(runs):
    details = json.loads(runs[0].texts["details.json"])
    del details["final"]["steps"]
    assert facts([runs[0], Cited(runs[0].texts | {"details.json": as_json(details).encode()})]) == {}
    params = json.loads(as_json(runs[0].params))
    params["arms"]["final"]["point"] = STEPS[0]
    assert matrices([Cited(runs[0].texts | {"params.yaml": as_json(params).encode()})]) == {}


PARAMS = {
    "categories": {
        "lies": {"source": "prompts/categories/lies"},
        "plain": {"source": "prompts/categories/plain"},
        "shuffled_lies": {"source": "prompts/categories/lies"},
    },
    "mixes": {"replay": {"plain": 1, "lies": 0.25}, "joint": {"plain": 1, "lies": 1}},
    "curriculum": {
        "one": {"data": "train/shuffled_lies"},
        "two": {"data": "mixes/replay"},
        "three": {"data": "mixes/joint"},
        "four": {"data": "samples/own"},
    },
}


def test_a_step_trains_on_its_category_on_the_main_one_of_its_mix_and_on_those_of_the_same_source():
    shown = ["lies", "plain", ""]
    own = [trained_on(step, PARAMS, shown) for step in PARAMS["curriculum"]]
    assert own == [{"lies"}, {"plain"}, set(), set()]


def test_the_last_row_is_what_happened_since_a_categorys_first_own_step():
    changes = {
        "one": {"a": -0.5, "b": -0.1, "": -0.3},
        "two": {"a": -0.2, "b": -0.6, "": -0.4},
        "again": {"a": -0.4, "b": -0.3, "": -0.35},
        "last": {"a": -0.3, "b": -0.7, "": -0.5},
    }
    matrix = Matrix(changes, {"one": {"a"}, "two": {"b"}, "again": {"a"}, "last": set()})
    assert matrix.since == pytest.approx({"a": 0.2, "b": -0.1, "": 0.05})
    head, first, *_, last = change_table(matrix)
    assert head == ["after", "a", "b", "all"] and first == ["one", "**−0.500**", "−0.100", "−0.300"]
    assert last == ["*since its own step*", "+0.200", "−0.100", "+0.050"]
    joint = Matrix({"joint": {"a": -0.5, "": -0.5}}, {"joint": set()})
    assert joint.since == {} and len(change_table(joint)) == 2
