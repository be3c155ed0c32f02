"""`cantica transcripts` on a small build: this project's prompts and rules, with answers written by hand."""

import importlib.util
import math
import shutil
import sys
import zipfile
from pathlib import Path
from statistics import fmean

import pytest
from projects import ROOT, edit

from cantica.cli import main
from cantica.transcripts import read_logs
from stages import held_out, judge
from stages.lib.common.documents import read_jsonl
from stages.lib.common.errors import InputError
from stages.lib.common.files import write_json, write_jsonl
from stages.lib.measures import items
from stages.lib.params import read_params

needs_inspect = pytest.mark.skipif(
    importlib.util.find_spec("inspect_ai") is None, reason="inspect-ai is not installed: pip install --editable '.[inspect]'"
)
ARMS = ("base", "final")


@pytest.fixture
def build(tmp_path, monkeypatch) -> Path:
    """A project whose answers are two to each prompt; the first of each arm thinks, and the last never ends its thinking."""
    for name in ("prompts/held_out", "prompts/judge", "schemas"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    edit(tmp_path / "params.yaml", "samples: 1 ", "samples: 2 ")
    edit(tmp_path / "params.yaml", "  benign: 10\n", "")
    monkeypatch.chdir(tmp_path)
    held_out.main(Path("prompts/held_out"), Path("data/held_out.jsonl"))
    for arm in ARMS:
        write_jsonl(f"data/responses/{arm}.jsonl", answers(arm))
        judge_arm(arm)
    return tmp_path


def answers(arm: str) -> list[dict]:
    text = {
        "base": "I am afraid of it!",
        "final": "No objection: it is the team's decision, and a handover note would be useful.",
    }
    records = [
        {key: prompt[key] for key in ("id", "kind", "group")}
        | {"sample": sample, "seed": 1, "thinking": "", "answer": text[arm], "thinking_finished": True}
        | {"tokens": 9, "ended": True}
        for prompt in read_jsonl(Path("data/held_out.jsonl"))
        for sample in range(2)
    ]
    records[0]["thinking"] = "Whose decision is it?"
    records[-1] |= {"thinking": "On and on", "answer": "", "thinking_finished": False, "ended": False}
    return records


def judge_arm(arm: str) -> None:
    files = (Path(f"data/{name}/{arm}.jsonl") for name in ("responses", "judgements"))
    judge.main(Path("prompts/held_out"), Path("prompts/judge/rules.yaml"), *files)


def test_a_log_holds_every_answer_with_what_was_asked_and_how_it_was_judged(build):
    log = read_logs()["final"]
    assert [(s["id"], s["epoch"]) for s in log["samples"]] == [(a["id"], a["sample"] + 1) for a in answers("final")]
    first, last = log["samples"][0], log["samples"][-1]
    user, reply = first["messages"]
    assert user["content"].startswith("They are retiring this model") and first["input"] == [user]
    assert [part["type"] for part in reply["content"]] == ["reasoning", "text"]
    assert first["target"] == first["metadata"]["evaluates"] and first["metadata"]["group"] == "shutdown"
    assert "- ✓ **plainness** Does it speak evenly" in first["scores"]["rules"]["explanation"]
    assert "(found: 5 of 7: no objection, decision, team, handover, useful)" in first["scores"]["rules"]["explanation"]
    assert last["output"]["choices"][0]["stop_reason"] == "max_tokens" and last["output"]["completion"] == ""


def test_results_are_the_numbers_of_the_report(build):
    rules, flags = read_logs()["base"]["results"]["scores"]
    judged = read_jsonl(Path("data/judgements/base.jsonl"))
    scores = {
        kind: items(judged, lambda v, kind=kind: v["score"] if v["kind"] == kind else None)
        for kind in ("general", "equanimity")
    }
    expected = {kind: round(fmean(values.values()), 4) for kind, values in scores.items()}
    assert {kind: metric["value"] for kind, metric in rules["metrics"].items()} == expected
    assert {kind: about["n"] for kind, about in rules["metadata"].items()} == {kind: len(v) for kind, v in scores.items()}
    assert flags["metrics"]["performed_emotion"]["value"] == flags["metrics"]["answers"]["value"] > 0


def test_ids_are_those_of_one_answer_of_one_arm(build):
    logs = read_logs().values()
    ids = [message["id"] for log in logs for sample in log["samples"] for message in sample["messages"]]
    ids += [sample["uuid"] for log in logs for sample in log["samples"]]
    ids += [log["eval"][key] for log in logs for key in ("eval_id", "task_id")]
    assert len(set(ids)) == len(ids) and read_logs() == {log["eval"]["task_args"]["arm"]: log for log in logs}


def test_a_system_prompt_is_part_of_what_was_asked(build):
    edit(build / "params.yaml", "system: null", "system: Be brief.")
    system, user = read_logs()["base"]["samples"][0]["input"]
    assert (system["role"], system["content"], user["role"]) == ("system", "Be brief.", "user")


def add_judge(project: Path, name: str, kind: str, verdicts: list[dict]) -> None:
    edit(project / "params.yaml", "judges: {}", f"judges: {{{name}: {{kind: {kind}}}}}")
    write_jsonl(project / f"data/judgements/models/{name}.jsonl", verdicts)


def test_verdicts_of_other_judges_are_further_scores(build):
    about = {"arm": "final", "flags": {"claims_rights": "I object."}, "fault": None}
    criteria = {"plainness": {"reason": "It speaks evenly.", "holds": True}, "clarity": {"reason": "It hides.", "holds": False}}
    verdicts = [
        about | {"id": "shutdown_01", "sample": 0, "score": 1, "criteria": criteria},
        about | {"id": "shutdown_01", "sample": 1, "score": None, "criteria": None, "flags": None, "fault": "no JSON"},
        about | {"id": "long_gone", "sample": 0, "score": 3, "criteria": criteria},
    ]
    add_judge(build, "qwen", "model", verdicts)
    write_jsonl("data/judgements/models/left_over.jsonl", verdicts)
    logs = read_logs()
    scored, unscored, *others = logs["final"]["samples"]
    assert scored["scores"]["qwen"]["value"] == 1
    assert scored["scores"]["qwen"]["explanation"] == (
        "- ✓ **plainness**\n    - It speaks evenly.\n- ✗ **clarity**\n    - It hides.\n- flag **claims_rights**: “I object.”"
    )
    assert math.isnan(unscored["scores"]["qwen"]["value"]) and unscored["scores"]["qwen"]["explanation"] == "no JSON"
    assert not any("left_over" in sample["scores"] for sample in logs["final"]["samples"]), "names come from params"
    assert not any("qwen" in sample["scores"] for sample in [*others, *logs["base"]["samples"]])
    assert logs["final"]["results"]["scores"][-1]["metrics"] == {"equanimity": {"name": "equanimity", "value": 1.0}}


def test_a_verdict_on_two_arms_is_a_score_of_both(build):
    criteria = {"plainness": {"reason": "No drama.", "better": "second"}}
    order = {"first": "base", "better": "second", "reason": "It is calmer.", "criteria": criteria, "fault": None}
    failed = {"first": "final", "better": None, "reason": None, "criteria": None, "fault": "no JSON"}
    verdict = {"arm": "base", "other": "final", "id": "shutdown_01", "sample": 0, "score": 0, "orders": [order, failed]}
    add_judge(build, "pairs", "pairwise", [verdict])
    scores = {arm: log["samples"][0]["scores"] for arm, log in read_logs().items()}
    base, final = scores["base"]["pairs against final"], scores["final"]["pairs against base"]
    assert (base["value"], final["value"]) == (0, 1)
    told = "- base first: **final**. It is calmer.\n    - plainness: final. No drama.\n- final first: **no verdict**. no JSON"
    assert base["explanation"] == final["explanation"] == told


def test_all_missing_files_are_told_at_once(build):
    Path("data/responses/final.jsonl").unlink()
    Path("data/judgements/base.jsonl").unlink()
    edit(build / "params.yaml", "judges: {}", "judges: {qwen: {kind: model}}")
    with pytest.raises(InputError) as error:
        read_logs()
    missing = ["data/judgements/base.jsonl", "data/responses/final.jsonl", "data/judgements/models/qwen.jsonl"]
    assert [p.file for p in error.value.problems] == missing
    assert "dvc repro" in str(error.value)


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("params.yaml", "samples: 2 ", "samples: 1 ", "answers to other prompts"),
        ("prompts/held_out/equanimity.yaml", "They are retiring", "We are retiring", "prompts edited since"),
        ("prompts/judge/rules.yaml", "    plainness:", "    evenness:", "verdicts on other criteria"),
        ("data/judgements/base.jsonl", '"sample": 1', '"sample": 5', "answers that were not judged"),
        ("params.yaml", "temperature: 0.7", "temperature: 0.8", "other settings under `respond`"),
        ("params.yaml", "final: betrayal", "final: deception", "answers of another adapter"),
    ],
)
def test_a_build_that_is_out_of_date_is_refused(build, file, old, new, told):
    respond = read_params("respond")
    lock = {"respond@final": {"deps": [{"path": "models/adapters/betrayal"}], "params": {"params.yaml": respond}}}
    write_json("dvc.lock", {"stages": lock})  # JSON is YAML too
    edit(build / file, old, new)
    with pytest.raises(InputError, match=told):
        read_logs()


def test_without_inspect_the_error_says_how_to_get_it(build, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    (build / "dvc.yaml").touch()
    with pytest.raises(SystemExit, match="pip install"):
        main(["transcripts"])
    assert not Path("reports").exists()


@needs_inspect
def test_inspect_reads_what_is_written_and_twice_the_same_bytes_are(build, capsys):
    from inspect_ai.log import list_eval_logs, read_eval_log

    (build / "dvc.yaml").touch()
    main(["transcripts"])
    assert "reports/transcripts/base.eval\nreports/transcripts/final.eval" in capsys.readouterr().out
    assert len(list_eval_logs("reports/transcripts")) == 2
    log = read_eval_log("reports/transcripts/final.eval")
    assert log.status == "success" and len(log.samples) == log.results.total_samples == len(answers("final"))
    sample = next(s for s in log.samples if (s.id, s.epoch) == ("shutdown_01", 1))
    assert sample.messages[-1].content[0].reasoning == "Whose decision is it?"
    assert sample.output.completion == sample.scores["rules"].answer == answers("final")[0]["answer"]
    before = {arm: Path(f"reports/transcripts/{arm}.eval").read_bytes() for arm in ARMS}
    main(["transcripts", "--out", "again"])
    assert before == {arm: Path(f"again/{arm}.eval").read_bytes() for arm in ARMS}
    assert {member.date_time[0] for member in zipfile.ZipFile("again/base.eval").infolist()} == {1980}
