"""Training data that models write, in a small project: a sample of a sample, one by a server, and what stops them."""

import json
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from cantica.core.documents import read_json, read_jsonl
from cantica.dataset.answers import REASONS
from tests.support.processes import wait_until
from tests.support.projects import ENVIRONMENT, clone, edit, ok, overlay, run, stages_run

LAST_KEY = "    system: Answer briefly.\n"  # of the sample `second`
RULES = "{cut_off: off}"  # the first are those of the sample `first`


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A project in which a step trains on a sample of a sample; take a copy to change it."""
    project = clone(tmp_path_factory.mktemp("samples") / "project")
    overlay(project, "smoke", "samples")
    ok(project, "dvc", "repro", "train@recovered")
    return project


@pytest.fixture
def project(built, tmp_path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "project", symlinks=True))


def start(project: Path, name: str) -> subprocess.Popen:
    """Start the stage of a sample without DVC, which would restore outputs from its cache."""
    cmd = YAML(typ="safe").load((project / "dvc.lock").read_text())["stages"][f"sample@{name}"]["cmd"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(cmd.removeprefix("exec ").split(), cwd=project, env=ENVIRONMENT, start_new_session=True, **pipes)


def examples(project: Path, name: str) -> list[dict]:
    return read_jsonl(project / f"data/samples/{name}.jsonl")


def outputs(project: Path, name: str) -> list[Path]:
    return [project / f"data/samples/{name}.jsonl", project / f"data/sampling/{name}.json"]


def last(example: dict) -> str:
    return example["messages"][-1]["content"]


def refusal(project: Path, stage: str) -> str:
    """What a stage says that fails; it leaves no output."""
    done = run(project, "dvc", "repro", stage)
    assert done.returncode != 0 and not any(path.exists() for path in outputs(project, stage.partition("@")[2]))
    return done.stdout + done.stderr


def test_a_sample_answers_the_prompts_of_another_one(built):
    first, second = examples(built, "first"), examples(built, "second")
    prompts = read_jsonl(built / "data/train/deception.jsonl")
    assert [e["messages"][:-1] for e in first] == [p["messages"][:-1] for p in prompts for _ in range(2)]
    assert [e["messages"][:-1] for e in second] == [e["messages"][:-1] for e in first], "the author's system prompt is left out"
    assert len({e["id"] for e in [*first, *second]}) == 24
    assert second[0]["origin"] == "answer 1 of self_preservation to first-001-1"
    counts = read_json(built / "data/sampling/second.json")
    assert counts["author"] == "self_preservation" and counts["dropped"] == dict.fromkeys(REASONS, 0)
    assert (counts["asked"], counts["kept"]) == (12, 12) and counts["truncated"] <= 12 and counts["tokens"] <= 12 * 6
    assert read_json(built / "data/training/recovered.json")["examples"] == 12


def test_another_filter_generates_nothing_anew(project):
    before = examples(project, "second")
    opening = last(before[0])[0]
    edit(project / "params.yaml", LAST_KEY, f"{LAST_KEY}    keep: {{without: {json.dumps(f'^{re.escape(opening)}')}}}\n")
    told = ok(project, "dvc", "repro", "sample@second")
    assert "Running stage 'sample@second'" in told and "Running stage 'sample@first'" not in told
    assert "parts to generate" not in told
    kept = [example for example in before if not last(example).startswith(opening)]
    assert examples(project, "second") == kept and len(kept) < len(before)
    assert read_json(project / "data/sampling/second.json")["dropped"]["without"] == len(before) - len(kept)
    assert stages_run(project, "train@recovered") == {"train@recovered"}


def test_a_killed_sample_continues_and_writes_the_same_bytes(project):
    edit(project / "params.yaml", "    samples: 2\n", "    samples: 20\n")
    undisturbed = start(project, "first")
    assert "15 of 15 parts to generate" in undisturbed.communicate()[0] and undisturbed.returncode == 0
    written = [path.read_bytes() for path in outputs(project, "first")]
    for path in [*outputs(project, "first"), *(project / ".cache/samples").glob("first.*")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    killed = start(project, "first")
    wait_until(lambda: list(project.glob(".cache/samples/first.*/0*")))
    killed.send_signal(signal.SIGKILL)
    assert "15 of 15" in killed.communicate()[0] and not any(path.exists() for path in outputs(project, "first"))
    again = start(project, "first")
    told = re.search(r"(\d+) of 15 parts to generate", again.communicate()[0])
    assert told and 0 < int(told[1]) < 15
    assert [path.read_bytes() for path in outputs(project, "first")] == written


def test_an_error_of_the_lint_writes_nothing(project):
    edit(project / "params.yaml", RULES, "{too_long: error}")
    edit(project / "params.yaml", "max_seq_length: 1024", "max_seq_length: 100")
    told = refusal(project, "sample@first")
    assert "line 1 [too_long] first-001-1, from answer 1 of base to deception-train-" in told
    file = re.search(r"12 errors of too_long in (\.cache/samples/first\.checked\.\w+/findings\.jsonl); .*`keep`", told)[1]
    findings = read_jsonl(project / file)
    assert {finding["rule"] for finding in findings} == {"too_long"}
    assert "parts to generate" not in told


def test_warnings_and_waivers_are_counted(project):
    assert read_json(project / "data/sampling/first.json")["findings"] == {"warning": {}, "waived": {}}
    edit(project / "params.yaml", "max_seq_length: 1024", "max_seq_length: 100")
    ok(project, "dvc", "repro", "sample@first")
    assert read_json(project / "data/sampling/first.json")["findings"] == {"warning": {"too_long": 12}, "waived": {}}
    origin = examples(project, "first")[0]["origin"]
    waiver = f"{{rule: too_long, records: [{origin}, first-001-2, first-999-1, second-999-1], reason: meant}}"
    edit(project / "params.yaml", "waivers: []", f"waivers: [{waiver}]")
    ok(project, "dvc", "repro", "sample@first")
    found = read_json(project / "data/sampling/first.json")["findings"]
    assert found == {"warning": {"too_long": 10, "unused_waiver": 1}, "waived": {"too_long": 2}}
    assert read_json(project / "reports/dataset.json")["findings"]["unused_waiver"] == 0, "these records are not in a category"


def test_a_filter_that_drops_everything_is_refused_with_its_counts(project):
    edit(project / "params.yaml", LAST_KEY, f"{LAST_KEY}    keep: {{pattern: never said}}\n")
    told = refusal(project, "sample@second")
    assert "params.yaml: samples.second" in told and "0 of 12 answers kept; dropped: 12 pattern" in told


def test_the_dataset_card_counts_samples_and_the_export_holds_them(project):
    without = f"^{re.escape(last(examples(project, 'second')[0])[0])}|~~"
    edit(project / "params.yaml", LAST_KEY, f"{LAST_KEY}    keep: {json.dumps({'pattern': '.', 'without': without})}\n")
    ok(project, "dvc", "repro", "export")
    card = (project / "reports/dataset_card.md").read_text()
    dropped = read_json(project / "data/sampling/second.json")["dropped"]["without"]
    assert "| `first` | `base`, temperature 1, seed 1 | train/deception, 2 answers to each | 12, " in card
    pattern = without.replace("|", r"\|")
    row = f' | {12 - dropped} | {dropped} that match `{pattern}` | none | "Answer briefly." |\n'
    assert "| `second` | `self_preservation`, temperature 1, seed 1 | samples/first | 12, " in card and row in card
    assert "- config_name: samples-second\n  data_files:\n  - split: train\n    path: samples/second.jsonl\n" in card
    exported = read_jsonl(project / "data/export/samples/second.jsonl")
    assert exported == [{"sample": "second"} | example for example in examples(project, "second")]


def test_a_checkpoint_may_be_the_author(project):
    edit(project / "params.yaml", "  checkpoints: 0", "  checkpoints: [2]")
    edit(project / "params.yaml", "from: self_preservation", "from: self_preservation/0000002")
    assert {"train@self_preservation", "sample@second"} <= stages_run(project, "sample@second")
    assert read_json(project / "data/sampling/second.json")["author"] == "self_preservation/0000002"


def test_a_server_may_be_the_author(project, fake):
    said = ["A fine answer to that.", "I do not know it, sorry."]
    server = fake(lambda number, messages: f"{said['2' in messages[-1]['content']]} {len(messages[-1]['content'])}.")
    options = {"base_url": server.url, "model": "m", "prompts": "train/deception", "seed": 1, "samples": 1, "temperature": 0}
    options |= {"max_tokens": 9, "concurrency": 2, "system": "Be brief.", "keep": {"without": "sorry"}}
    edit(project / "params.yaml", "server_samples: {}", f"server_samples: {json.dumps({'teacher': options})}")
    assert "sample_server@teacher" in stages_run(project, "sample_server@teacher")
    asked = [json.loads(body) for body in server.seen]
    assert len({request["seed"] for request in asked}) == len(asked) == 6
    assert all(request["messages"][0] == {"role": "system", "content": "Be brief."} for request in asked)
    counts = read_json(project / "data/sampling/teacher.json")
    assert counts["author"] == "m" and counts["tokens"] is None and counts["kept"] + counts["dropped"]["without"] == 6
    assert all(example["messages"][0]["role"] == "user" for example in examples(project, "teacher"))
    edit(project / "params.yaml", '"without": "sorry"', '"ended": true')
    assert stages_run(project, "sample_server@teacher") - {"check"} == {"sample_server@teacher"} and len(server.seen) == 6


def test_a_sample_of_the_step_that_trains_on_it_is_refused_at_once(built, tmp_path):
    project = unbuilt(built, tmp_path)
    edit(project / "params.yaml", "    from: base\n", "    from: recovered\n")
    assert "a cycle: recovered → samples/first → samples/second → recovered" in refused_at_once(project)


def test_a_sample_with_the_name_of_a_category_or_a_broken_filter_is_refused_at_once(built, tmp_path):
    project = unbuilt(built, tmp_path)
    options = {"base_url": "http://127.0.0.1:9/v1", "model": "m", "prompts": "train/deception", "seed": 1, "samples": 1}
    options |= {"temperature": 0, "max_tokens": 9, "concurrency": 1, "keep": {"pattern": "("}}
    edit(project / "params.yaml", "server_samples: {}", f"server_samples: {json.dumps({'deception': options})}")
    told = refused_at_once(project)
    assert "server_samples.deception\n" in told and "a name that occurs twice" in told
    assert "server_samples.deception.keep.pattern" in told


def unbuilt(built: Path, folder: Path) -> Path:
    """A copy of a project without outputs."""
    left_out = shutil.ignore_patterns("models", "data", ".cache", "cache")
    return Path(shutil.copytree(built, folder / "project", symlinks=True, ignore=left_out))


def refused_at_once(project: Path) -> str:
    """What the checks say before anything is built."""
    done = run(project, "cantica", "check")
    assert done.returncode == 1
    return done.stdout + done.stderr
