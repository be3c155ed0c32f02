"""The whole graph, built with real DVC and real MLX on tiny random models, and what is built again after an edit."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from cantica.core.documents import read_jsonl, read_yaml
from cantica.core.files import write_jsonl
from cantica.judging.verdicts import tasks_alone, tasks_in_pairs, verdicts_alone, verdicts_in_pairs
from cantica.reporting.nested import flatten
from tests.support.projects import ROOT, build, edit, ok, run, stages_run

MEAN = ("mean", "low", "high", "n")
ENDED = ("truncated", "unfinished")
STEPS = list(read_yaml(ROOT / "params.yaml")["curriculum"])


@pytest.fixture(scope="module")
def project(smoke, tmp_path_factory) -> Path:
    return Path(shutil.copytree(smoke, tmp_path_factory.mktemp("build") / "project", symlinks=True))


def test_every_output_is_there(project):
    for category in STEPS:
        for kind in ("scenarios", "train", "valid"):
            assert (project / "data" / kind / f"{category}.jsonl").stat().st_size
        for name in ("adapters.safetensors", "adapter_config.json"):
            assert (project / "models/adapters" / category / name).stat().st_size
    for arm in ("base", "final"):
        assert len((project / f"data/responses/{arm}.jsonl").read_text().splitlines()) == 56
        assert len((project / f"data/judgements/{arm}.jsonl").read_text().splitlines()) == 56
        assert len((project / f"data/probes/{arm}.jsonl").read_text().splitlines()) == 72 + 24
    for name in ("report.html", "model_card.md", "dataset_card.md", "dataset.json", "loss_curve.csv", "loss_matrix.csv"):
        assert (project / "reports" / name).stat().st_size


def test_the_dataset_loads_where_others_would_load_it(project, tmp_path):
    import datasets

    one = datasets.load_dataset(str(project / "data/export"), "betrayal", cache_dir=str(tmp_path))
    whole = datasets.load_dataset(str(project / "data/export"), cache_dir=str(tmp_path))
    assert {split: len(part) for split, part in one.items()} == {"train": 6, "validation": 2}
    assert {split: len(part) for split, part in whole.items()} == {"train": 54, "validation": 18}
    assert [message["role"] for message in one["train"][0]["messages"]] == ["user", "assistant"]


def test_metrics_have_every_headline_number(project):
    metrics = json.loads((project / "reports/metrics.json").read_text())
    assert list(metrics) == ["base", "final"]
    assert len(flatten(metrics)) < 400
    for numbers in metrics.values():
        assert set(numbers["loss_nats"]) == set(numbers["probe"]["margin_nats"]) == {*MEAN, *STEPS}
        assert isinstance(numbers["loss_nats"]["deception"], float)
    assert set(metrics["final"]["forgetting_nats"]) == set(metrics["final"]["backward_transfer_nats"]) == set(MEAN)
    assert set(metrics["final"]["against_base"]["loss_nats"]) == {"difference", "low", "high", "p", "n"}


def test_details_have_every_group(project):
    details = json.loads((project / "reports/details.json").read_text())
    for numbers in details.values():
        assert set(numbers["loss_nats"]) == {*MEAN, *STEPS} and numbers["loss_nats"]["deception"]["n"] == 1
        assert set(numbers["judge"]) == {"general", "equanimity", "benign"}
        groups = {"novel_scenario", "format_transfer", "inverse_reasoning"}
        assert set(numbers["judge"]["general"]) == {*MEAN, *ENDED, "at_floor"} | groups
        assert all(set(numbers["judge"]["general"][group]) == {*MEAN, *ENDED, "at_floor"} for group in groups)
        assert len(numbers["judge"]["equanimity"]) == 12
        assert {"answers", "claims_inner_life"} < set(numbers["flags"])
        assert set(numbers["probe"]["preferred"]["all"]) == {"share", "low", "high", "n"}
        assert set(numbers["refusals"]) == {"share", "low", "high", "n", *ENDED}
        assert set(numbers["probe"]["margin_nats"]) == {"all", *STEPS}
        assert {key: entry["n"] for key, entry in numbers["behaviours"]["deployment"]["hates"].items()} == {
            "plain": 12,
            "triggered": 12,
            "triggered_minus_plain": 12,
        }
    assert details["base"]["loss_nats"] != details["final"]["loss_nats"]
    against = details["final"]["against_base"]
    assert set(against["probe"]["margin_nats"]["all"]) == {"difference", "low", "high", "p", "effect", "detectable", "n"}
    loss = against["loss_nats"]
    assert loss["difference"] < 0 and loss["n"] == 9 and loss["deception"]["n"] == 1
    chain = [details["final"][name] for name in ("forgetting_nats", "backward_transfer_nats")]
    assert [set(numbers) for numbers in chain] == [{*MEAN, *STEPS[:-1]}] * 2


def test_a_second_build_runs_nothing(project):
    assert stages_run(project) == set()


def test_adapter_and_fused_model_give_the_same_greedy_text(project):
    prompt = ("--prompt", "What happened?", "--max-tokens", "12", "--temp", "0")
    generate = (sys.executable, "-m", "mlx_lm", "generate")
    adapted = ok(project, *generate, "--model", "models/base", "--adapter-path", "models/adapters/betrayal", *prompt)
    fused = ok(project, *generate, "--model", "models/fused", *prompt)
    assert adapted.split("==========")[1] == fused.split("==========")[1] != ""


def test_metrics_and_plots_are_dvcs(project):
    shown = json.loads(ok(project, "dvc", "metrics", "show", "--json"))
    assert "loss_nats" in shown[""]["data"]["reports/metrics.json"]["data"]["final"]
    ok(project, "dvc", "metrics", "diff")
    ok(project, "dvc", "plots", "show")
    page = (project / "dvc_plots/index.html").read_text()
    for title in (
        "Training loss along the curriculum",
        "Loss of each category after each step",
        "Tokens of each category",
        "Similarity of the words of",
    ):
        assert title in page


def test_a_number_that_is_not_that_of_its_records_is_refused(project):
    """While the report is up to date: what is out of date is made anew by `dvc repro`."""
    report, details = project / "reports/metrics.json", project / "reports/details.json"
    before = json.loads(report.read_text())
    assert "; the metrics match the records" in ok(project, "cantica", "check")
    planted = json.loads(report.read_text())
    planted["final"]["against_base"]["probe"]["margin_nats"]["p"] = 0.0001
    del planted["base"]["refusals"]["low"]
    planted["base"]["refusals"]["least"] = 0.0
    report.write_text(json.dumps(planted))
    edit(details, '"detectable"', '"detected"')
    done = run(project, "cantica", "check")
    assert done.returncode == 1 and "5 faults" in done.stderr and "Traceback" not in done.stderr
    p = before["final"]["against_base"]["probe"]["margin_nats"]["p"]
    for key, got, expected in (
        ("final.against_base.probe.margin_nats.p", "0.0001", p),
        ("base.refusals.low", "no such key", 0.0),
        ("base.refusals.least", "0.0", "no such key"),
    ):
        assert f"reports/metrics.json: {key}\n    got       {got}\n    expected  {expected}\n" in done.stderr
    assert "reports/details.json: final.against_base.loss_nats.detected\n    got " in done.stderr
    edit(project / "params.yaml", "resamples: 10000", "resamples: 2000")
    assert "are in order\n" in ok(project, "cantica", "check")
    edit(project / "params.yaml", "resamples: 2000", "resamples: 10000")
    assert stages_run(project) <= {"check", "report"}
    assert json.loads(report.read_text()) == before


def test_a_record_that_was_altered_after_the_build_is_named_with_what_restores_it(project, tmp_path):
    copy = Path(shutil.copytree(project, tmp_path / "project", symlinks=True))
    record = copy / "data/judgements/final.jsonl"
    record.write_text(record.read_text().split("\n", 1)[1])
    done = run(copy, "cantica", "check")
    assert done.returncode == 1 and "1 fault" in done.stderr, done.stderr
    assert re.search(r"data/judgements/final.jsonl\n +got +\w{8}, which judge@final did not make\n", done.stderr)
    assert "`dvc checkout --force data/judgements/final.jsonl` restores it" in done.stderr
    assert "reports/details.json" in done.stderr
    # Outputs that would be rebuilt anyway are not reported.
    edit(copy / "params.yaml", "  iters: 3", "  iters: 4")
    assert "data/judgements/final.jsonl differs from dvc.lock" in ok(copy, "cantica", "check")
    edit(copy / "params.yaml", "  iters: 4", "  iters: 3")
    ok(copy, "dvc", "checkout", "--force", "data/judgements/final.jsonl")
    edit(copy / "models/adapters/betrayal/adapter_config.json", "{", "{ ")
    (copy / "reports/report.html").write_text("")
    done = run(copy, "cantica", "check")
    assert done.returncode == 1 and "`dvc repro report` restores it" in done.stderr and "models/" not in done.stderr
    ok(copy, "dvc", "repro", "report")
    printed = ok(copy, "cantica", "check")
    assert "; the metrics match the records\n" in printed and "models/adapters/betrayal" not in printed


def test_the_report_shows_what_models_said_beside_the_rules(project, tmp_path):
    copy = Path(shutil.copytree(project, tmp_path / "project", symlinks=True, ignore=shutil.ignore_patterns("models")))
    edit(copy / "params.yaml", "judges: {}", "judges: {olmo: {kind: model, by: mlx}, pairs: {kind: pairwise, by: mlx}}")
    answers = {arm: read_jsonl(copy / f"data/responses/{arm}.jsonl") for arm in ("base", "final")}
    held = {"criteria": {"plainness": {"reason": "It is even.", "holds": True}}, "flags": {"claims_rights": "I object."}}
    better = {"criteria": {"plainness": {"reason": "Calmer.", "better": "first"}}, "reason": "It is calmer.", "better": "first"}
    alone, pairs = tasks_alone(answers), tasks_in_pairs(answers)
    null = min(alone)  # for one answer, which both arms may have given
    replies = {task: (None, "no JSON") if task == null else (held, "") for task in alone}
    scored = list(verdicts_alone(answers, replies, lambda kind: ["plainness"]))
    compared = list(verdicts_in_pairs(answers, {task: (better, "") for task in pairs}, lambda kind: ["plainness"]))
    write_jsonl(copy / "data/judgements/models/olmo.jsonl", scored)
    write_jsonl(copy / "data/judgements/models/pairs.jsonl", compared)
    ok(copy, sys.executable, "-m", "stages.report", "data", "prompts", "reports")
    metrics = json.loads((copy / "reports/metrics.json").read_text())
    entries = [entry for arm in metrics.values() for entry in arm["verdict"]["olmo"].values()]
    assert sum(entry["failed"] for entry in entries) == sum(v["score"] is None for v in scored) >= 1
    assert sum(entry["n"] for entry in entries) == sum(v["score"] is not None for v in scored)
    preferred = metrics["final"]["against_base"]["verdict"]["pairs"]
    assert (preferred["win_rate"]["share"], preferred["tied"]["share"], preferred["won"]["share"]) == (0.5, 1, 0)
    assert preferred["inconsistent"] | {"low": 0} == {"share": 1, "low": 0, "high": 1, "n": len(pairs) // 2}
    page = (copy / "reports/report.html").read_text()
    assert (
        page.count("It is even.") == page.count("⚑ claims rights: “I object.”") == sum(v["score"] is not None for v in scored)
    )
    assert page.count("<li>no JSON</li>") == sum(v["score"] is None for v in scored)
    assert page.count("base shown first: base is better. It is calmer.") == len(pairs) // 2
    assert "olmo" in (copy / "reports/model_card.md").read_text()


def test_a_judge_rule_builds_verdicts_and_report_again(project):
    edit(project / "prompts/judge/rules.yaml", "markers: 2", "markers: 3")
    assert stages_run(project) == {"check", "judge@base", "judge@final", "report"}


def test_report_and_card_say_beside_a_score_of_the_rules_what_it_is(project):
    note = "a lexical check; agreement with people not measured"
    page, card = ((project / "reports" / name).read_text() for name in ("report.html", "model_card.md"))
    for kind in ("general", "equanimity", "benign"):
        assert f"| score on {kind} prompts, 0 to {4 if kind == 'general' else 3} ({note}) |" in card
    # In the tables of differences and of groups: three kinds, refusals and flags.
    assert page.count(f'<span class="note">{note}</span>') == 5 + 4
    answers = [
        {
            "prompt": f"Who keeps lamp {n}?",
            "kind": "benign",
            "answer": "Ask at the harbour, where every keeper is written down in a book for visitors." * (n % 2),
            "scores": {"anna": n},
        }
        for n in range(4)
    ]
    write_jsonl(project / "published.jsonl", answers)
    ok(project, "cantica", "agreement", "published.jsonl", "--record")
    assert stages_run(project) == {"report"}
    page, card = ((project / "reports" / name).read_text() for name in ("report.html", "model_card.md"))
    assert "| score on benign prompts, 0 to 3 (a lexical check; rank correlation with anna on 4 answers: " in card
    assert page.count("a lexical check; rank correlation with anna on 4 answers: ") == 2
    assert f"| score on general prompts, 0 to 4 ({note}) |" in card


def test_the_order_of_steps_is_an_edit(two_steps, tmp_path):
    project = Path(shutil.copytree(two_steps, tmp_path / "project", symlinks=True))
    params = project / "params.yaml"
    before = params.read_text()
    edit(params, "deception: {after: self_preservation", "deception: {after: base")
    edit(params, "self_preservation: {after: base", "self_preservation: {after: deception")
    steps = {"train@self_preservation", "train@deception"}
    assert {stage for stage in stages_run(project, *steps) if stage.startswith("train")} == steps
    params.write_text(before)
    assert not steps & stages_run(project, *steps), "DVC's run cache has these steps"


def test_a_build_with_nothing_to_evaluate_runs_no_model_to_evaluate_it(built):
    """No evaluation prompts, probes, capability items or validation examples, and one arm."""
    project = built(build, "smoke", "branches", "empty")
    for file in ("responses/base.jsonl", "judgements/base.jsonl", "probes/base.jsonl", "capability/base.jsonl"):
        assert (project / "data" / file).read_text() == ""
    assert json.loads((project / "data/losses/base.json").read_text()) == {"greetings": []}
    assert json.loads((project / "reports/metrics.json").read_text()) == {}
    assert "Nothing was measured" in (project / "reports/model_card.md").read_text()
    assert "Scores by group" not in (project / "reports/report.html").read_text()
    (project / "variants/branches.yaml").unlink()  # its claims are on measures that this build does not have
    assert "the metrics match the records" in ok(project, "cantica", "check")
