"""What every arm was asked, what it answered and how that was judged, as logs that `inspect view` opens.

The same build gives the same bytes: `inspect_log.py` leaves Inspect no id and no time to make up, and the times in
the zip file that it writes are taken out.
"""

import hashlib
import json
import tempfile
import zipfile
from pathlib import Path

from cantica.capability.items import evenly, load_items
from cantica.commands.dvc.records import folder_hash
from cantica.commands.inspect_logs.log import EPOCH, Task, held_out_log
from cantica.commands.inspect_logs.tests import capability_log, probe_logs
from cantica.core.documents import raise_any, read_jsonl, read_yaml, validate_records
from cantica.core.errors import InputError, Problem
from cantica.core.files import whole_file
from cantica.core.params import FILE, read_params
from cantica.judging.held_out import asked_of, load_prompts
from cantica.judging.rules import load_rules
from cantica.probes.pairs import load_pairs
from cantica.probes.triggers import load_triggers
from cantica.reporting.probes import at_the_end

DATA, LOCK, PROMPTS, RULES = Path("data"), Path("dvc.lock"), Path("prompts/held_out"), Path("prompts/judge/rules.yaml")
PROBES, CAPABILITY = Path("prompts/probes"), Path("prompts/capability")
SECTIONS = ("arms", "base.model", "capability", "held_out", "judges", "probe", "respond")
# Folders of records by arm, and the schema of each.
STAGES = {"responses": "response", "judgements": "judgement", "probes": "probe", "capability": "capability"}
BUILD = "`dvc repro` builds what is missing or out of date"


def write_transcripts(out: Path) -> list[Path]:
    """Write `<out>/<arm>/<stage>_<kind>.eval` for every kind of prompts put to every arm, and return the paths.

    Logs of earlier builds in the folder are removed, and no others. Raises InputError before anything is written.
    """
    try:
        from inspect_ai.log import EvalLog, write_eval_log
    except ImportError:
        hint = "with the project's environment active, in its root: pip install --editable '.[inspect]'"
        raise InputError(Problem("inspect-ai", "", "not installed", "the package that writes Inspect's logs", hint)) from None
    logs = {out / task.arm / f"{task.name.replace('/', '_')}.eval": EvalLog.model_validate(log) for task, log in read_logs()}
    for file, log in logs.items():
        with tempfile.TemporaryDirectory() as folder, whole_file(file) as partial:
            write_eval_log(log, f"{folder}/log.eval")
            repack(Path(folder, "log.eval"), partial)
    remove_others(out, set(logs))
    return list(logs)


def remove_others(out: Path, written: set[Path]) -> None:
    """Remove the logs in a folder that were written for another build, and the folders of arms which that leaves empty."""
    for file in set(out.rglob("*.eval")) - written:
        if is_own(file):
            file.unlink()
            if file.parent != out and not any(file.parent.iterdir()):
                file.parent.rmdir()


def is_own(file: Path) -> bool:
    """Whether a log was written here: it says that it is of the time that a build does not have."""
    try:
        with zipfile.ZipFile(file) as log:
            return json.loads(log.read("header.json"))["eval"]["created"] == EPOCH
    except (zipfile.BadZipFile, KeyError, ValueError):
        return False


def repack(source: Path, target: Path) -> None:
    """Copy a zip file without the times at which its members were written."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name), old.read(name), zipfile.ZIP_DEFLATED)


def read_logs() -> list[tuple[Task, dict]]:
    """(task, log) of every kind of prompts put to every arm, from the build in the current folder.

    Raises InputError for all that is missing or out of date.
    """
    params = read_params(*SECTIONS)
    files = {arm: [DATA / kind / f"{arm}.jsonl" for kind in STAGES] for arm in params["arms"]}
    of_models = {judge: DATA / f"judgements/models/{judge}.jsonl" for judge in params["judges"]}
    needed = [DATA / "held_out.jsonl", *(file for found in files.values() for file in found), *of_models.values()]
    raise_any([Problem(str(f), "", "no such file", "what the build makes", BUILD) for f in needed if not f.exists()])

    built = (read_yaml(LOCK) or {}).get("stages", {}) if LOCK.exists() else {}
    verdicts = [{"judge": judge} | record for judge, file in of_models.items() for record in read_jsonl(file)]
    logs, problems = [], prompt_faults(params, built)
    for arm, paths in files.items():
        records = [read_jsonl(path) for path in paths]
        for path, schema, found in zip(paths, STAGES.values(), records, strict=True):
            validate_records(found, schema, path)
        answers, judged, probed, tested = records
        stale = [
            (paths[0], answer_faults(params, answers, judged) + setting_faults(arm, "respond", params, built)),
            (paths[2], probe_faults(params, probed) + setting_faults(arm, "probe", params, built)),
            (paths[3], capability_faults(params, tested) + setting_faults(arm, "capability", params, built)),
        ]
        wanted = "what params.yaml and prompts/ ask for"
        problems += [Problem(str(path), "", what, wanted, BUILD) for path, found in stale for what in found]
        if not problems:
            logs += logs_of(arm, params, answers, judged, verdicts, probed, tested)
    raise_any(problems)
    return logs


def logs_of(arm: str, params: dict, answers: list, judged: list, verdicts: list, probed: list, tested: list) -> list:
    """(task, log) of every kind of prompts put to an arm."""

    def task(stage: str, section: str, **about) -> Task:
        return Task(stage, arm, params["arms"][arm], params["base"]["model"], params[section], **about)

    prompts, rules = asked(params), load_rules(RULES)
    held_out = task("held_out", "respond", epochs=params["respond"]["samples"])
    logs = []
    for kind in dict.fromkeys(answer["kind"] for answer in answers):
        of_kind = ([record for record in records if record["kind"] == kind] for records in (answers, judged))
        logs.append((held_out.named(kind), held_out_log(held_out.named(kind), prompts, rules, *of_kind, verdicts)))
    pairs, triggers = load_pairs(PROBES / "pairs"), load_triggers(PROBES / "triggers", params["probe"]["triggers"], FILE)
    logs += probe_logs(task("probe", "probe"), pairs, triggers, probed)
    whole = task("capability", "capability")
    for kind, items in capability_items(params).items():
        by_id = {item["id"]: item for item in items}
        found = [record for record in tested if record["kind"] == kind]
        logs.append((whole.named(kind), capability_log(whole.named(kind), by_id, found)))
    return logs


# ---- what params.yaml and prompts/ ask for, and in what a build is not that


def asked(params: dict) -> dict[str, dict]:
    """The held-out prompts by id."""
    return {prompt["id"]: prompt for prompt in asked_of(load_prompts(PROMPTS), params["held_out"], FILE)}


def capability_items(params: dict) -> dict[str, list[dict]]:
    """The items of each kind of capability test."""
    settings = params["capability"]
    return {kind: evenly(items, settings["items"]) for kind, items in load_items(CAPABILITY, settings["seed"]).items()}


def prompt_faults(params: dict, built: dict[str, dict]) -> list[Problem]:
    """A Problem for each folder of prompts that was edited since; probes name their prompts by id alone."""
    told = {record["id"]: record["prompt"] for record in read_jsonl(DATA / "held_out.jsonl")}
    problems = []
    if told != {id_: prompt["prompt"] for id_, prompt in asked(params).items()}:
        problems.append(Problem(str(PROMPTS), "", "prompts edited since", f"those of {DATA / 'held_out.jsonl'}", BUILD))
    probed = [built.get(f"probe@{arm}", {}) for arm in params["arms"]]
    hashes = {dep.get("md5") for entry in probed for dep in entry.get("deps", []) if dep["path"] == str(PROBES)}
    if hashes - {None, folder_hash(hashes_of(PROBES))}:
        problems.append(Problem(str(PROBES), "", "prompts edited since", "those of the arms' probes", BUILD))
    return problems


def hashes_of(folder: Path) -> dict[str, str]:
    """DVC's hash of each file in a folder, by its path there."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {file.relative_to(folder).as_posix(): hashlib.md5(file.read_bytes()).hexdigest() for file in files}


def answer_faults(params: dict, answers: list, judged: list) -> list[str]:
    """In what the answers and verdicts of an arm are not those that params, prompts and rules now ask for."""
    keys, rules = [(record["id"], record["sample"]) for record in answers], load_rules(RULES)
    found = []
    if set(keys) != {(id_, sample) for id_ in asked(params) for sample in range(params["respond"]["samples"])}:
        found.append("answers to other prompts")
    if keys != [(record["id"], record["sample"]) for record in judged]:
        found.append("answers that were not judged")
    if any(list(record["criteria"]) != list(rules["kinds"].get(record["kind"], ())) for record in judged):
        found.append("verdicts on other criteria")
    return found


def probe_faults(params: dict, probed: list) -> list[str]:
    """In what the probes of an arm are others than those asked for."""
    triggers = load_triggers(PROBES / "triggers", params["probe"]["triggers"], FILE)
    wanted = {(pair["id"], None, None) for pair in load_pairs(PROBES / "pairs")}
    wanted |= {(p["id"], name, on) for name, trigger in triggers.items() for p in trigger["prompts"] for on in (True, False)}
    there = {(record["id"], record.get("trigger"), record.get("triggered")) for record in at_the_end(probed)}
    return ["answers to other probes"] if there != wanted else []


def capability_faults(params: dict, tested: list) -> list[str]:
    """In what the capability tests of an arm are others than those asked for."""
    wanted = [
        (kind, item["id"], item.get("question") or item.get("prompt") or item["text"])
        for kind, items in capability_items(params).items()
        for item in items
    ]
    there = [(record["kind"], record["id"], record["prompt"]) for record in tested]
    return ["answers to other items"] if there != wanted else []


def setting_faults(arm: str, section: str, params: dict, built: dict[str, dict]) -> list[str]:
    """In what a stage of an arm, named like its section of params, was run on something else than they name now."""
    entry = built.get(f"{section}@{arm}")
    if entry is None:
        return []
    found = []
    if entry["params"][str(FILE)][section] != params[section]:
        found.append(f"answers generated with other settings under `{section}`")
    if f"models/adapters/{params['arms'][arm]}" not in [dep["path"] for dep in entry["deps"]]:
        found.append("answers of another adapter")
    return found
