"""`cantica transcripts`: every prompt, response and verdict of each arm, as logs that `inspect view` opens.

The same build gives the same bytes: ids and times do not come from Inspect, and the times in its zip files are removed.
"""

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from cantica.commands.inspect_logs.faults import (
    BUILD,
    DATA,
    RULES,
    asked,
    capability_faults,
    capability_items,
    probe_behaviours,
    probe_faults,
    probe_pairs,
    prompt_faults,
    response_faults,
    setting_faults,
)
from cantica.commands.inspect_logs.log import EPOCH, Document, Task
from cantica.commands.inspect_logs.probes import capability_log, probe_logs
from cantica.commands.inspect_logs.responses import held_out_log
from cantica.core.documents import raise_any, read_jsonl, read_yaml, validate_records
from cantica.core.errors import InputError, Problem
from cantica.core.files import whole_file
from cantica.core.params import read_params
from cantica.judging.rules import load_rules
from cantica.settings.arms import all_arms
from cantica.settings.tree import ROOT

LOCK = Path("dvc.lock")
SECTIONS = (
    *("answers", "arms", "base.model", "capability", "categories", "held_out", "judges", "probe", "respond", "servers"),
)
# Folders of records by arm, and the schema of each: of all arms, and of those that are points.
OF_ALL = {"responses": "response", "judgements": "judgement"}
SCHEMAS = OF_ALL | {"probes": "probe", "capability": "capability"}

Records = dict[str, list[Any]]  # the records of one arm, by folder


def write_transcripts(out: Path) -> list[Path]:
    """Write `<out>/<arm>/<stage>_<kind>.eval` for every kind of prompts put to every arm, and return the paths.

    Logs of earlier builds in the folder are removed, other files are not. Raises InputError before anything is written.
    """
    try:
        from inspect_ai.log import EvalLog, write_eval_log
    except ImportError:
        hint = "in the project's root and environment: pip install --editable '.[inspect]'"
        raise InputError(Problem("inspect-ai", "", "not installed", "the package that writes Inspect's logs", hint)) from None
    logs = {out / task.arm / f"{task.name.replace('/', '_')}.eval": EvalLog.model_validate(log) for task, log in read_logs()}
    for file, log in reversed(logs.items()):  # the viewer lists the file that was written last first
        with tempfile.TemporaryDirectory() as folder, whole_file(file) as partial:
            write_eval_log(log, f"{folder}/log.eval")
            repack(Path(folder, "log.eval"), partial)
    remove_others(out, set(logs))
    return list(logs)


def remove_others(out: Path, written: set[Path]) -> None:
    """Remove the logs of earlier builds in a folder, and the folders of arms that are empty then."""
    for file in set(out.rglob("*.eval")) - written:
        if is_own(file):
            file.unlink()
            if file.parent != out and not any(file.parent.iterdir()):
                file.parent.rmdir()


def is_own(file: Path) -> bool:
    """Whether this command wrote a log: then its time is EPOCH."""
    try:
        with zipfile.ZipFile(file) as log:
            return json.loads(log.read("header.json"))["eval"]["created"] == EPOCH
    except (zipfile.BadZipFile, KeyError, ValueError):
        return False


def repack(source: Path, target: Path) -> None:
    """Copy a zip file without the times of its members."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name), old.read(name), zipfile.ZIP_DEFLATED)


def read_logs() -> list[tuple[Task, Document]]:
    """(task, log) of every kind of prompts put to every arm, from the build in the current folder.

    Raises InputError for everything that is missing or out of date.
    """
    params = read_params(*SECTIONS)
    folders = {arm: SCHEMAS if arm in params["arms"] else OF_ALL for arm in all_arms(params)}
    files = {arm: {folder: DATA / folder / f"{arm}.jsonl" for folder in own} for arm, own in folders.items()}
    of_models = {judge: DATA / f"judgements/models/{judge}.jsonl" for judge in params["judges"]}
    needed = [
        DATA / "held_out.jsonl",
        DATA / "behaviours.json",
        *(file for own in files.values() for file in own.values()),
        *of_models.values(),
    ]
    raise_any([Problem(str(f), "", "no such file", "an output of the build", BUILD) for f in needed if not f.exists()])

    built = (read_yaml(LOCK) or {}).get("stages", {}) if LOCK.exists() else {}
    verdicts = [{"judge": judge} | record for judge, file in of_models.items() for record in read_jsonl(file)]
    logs, problems = [], prompt_faults(params, built)
    for arm, paths in files.items():
        records = {folder: read_jsonl(path) for folder, path in paths.items()}
        for folder, path in paths.items():
            validate_records(records[folder], SCHEMAS[folder], path)
        wanted = "answers to what params.yaml and prompts/ ask for"
        stale = _stale(arm, params, built, records)
        problems += [Problem(str(paths[folder]), "", fault, wanted, BUILD) for folder, own in stale.items() for fault in own]
        if not problems:
            logs += logs_of(arm, params, records, verdicts)
    raise_any(problems)
    return logs


def _stale(arm: str, params: dict, built: dict, records: Records) -> dict[str, list[str]]:
    """How an arm's records differ from what is asked for now, by folder."""
    responses = response_faults(arm, params, records["responses"], records["judgements"])
    found = {"responses": responses + setting_faults(arm, "respond", params, built)}
    if arm in params["arms"]:
        found["probes"] = probe_faults(params, records["probes"]) + setting_faults(arm, "probe", params, built)
        tested = capability_faults(params, records["capability"])
        found["capability"] = tested + setting_faults(arm, "capability", params, built)
    return found


def logs_of(arm: str, params: dict, records: Records, verdicts: list[dict]) -> list[tuple[Task, Document]]:
    """(task, log) of every kind of prompts put to an arm."""
    prompts, rules = asked(params), load_rules(RULES)
    epochs = max((response["sample"] + 1 for response in records["responses"]), default=0)
    held_out = Task("held_out", arm, *_subject(arm, params), _settings(arm, "respond", params), epochs)
    logs = []
    for kind in dict.fromkeys(response["kind"] for response in records["responses"]):
        responses, judged = ([record for record in records[folder] if record["kind"] == kind] for folder in OF_ALL)
        named = held_out.named(kind)
        logs.append((named, held_out_log(named, prompts, rules, responses, judged, verdicts)))
    return logs + (_logs_of_point(arm, params, records) if arm in params["arms"] else [])


def _logs_of_point(arm: str, params: dict, records: Records) -> list[tuple[Task, Document]]:
    """(task, log) of the probes and capability tests of an arm that is a point."""
    probe, capability = (
        Task(stage, arm, *_subject(arm, params), _settings(arm, stage, params)) for stage in ("probe", "capability")
    )
    logs = probe_logs(probe, probe_pairs(params), probe_behaviours(params), records["probes"])
    for kind, items in capability_items(params).items():
        named = capability.named(kind)
        tested = [record for record in records["capability"] if record["kind"] == kind]
        logs.append((named, capability_log(named, {item["id"]: item for item in items}, tested)))
    return logs


def _subject(arm: str, params: dict) -> tuple[str, dict[str, str]]:
    """(the model of an arm, where it comes from): its base model and adapter, its file of answers, or its server."""
    if arm in params["answers"]:
        file = params["answers"][arm]["file"]
        return file, {"file": file}
    if arm in params["servers"]:
        server = params["servers"][arm]
        return server["model"], {"server": server["base_url"]}
    base, point = params["base"]["model"], params["arms"][arm]["point"]
    return base if point == ROOT else f"{base} + {point}", {"adapter": point, "base_model": base}


def _settings(arm: str, section: str, params: dict) -> dict[str, Any]:
    """The settings of generation for an arm, with its system prompt."""
    if arm in params["answers"]:
        return {}
    own = (params["arms"] | params["servers"])[arm]
    settings = params[section] if arm in params["arms"] else own
    return settings | {"system": own.get("system", params[section].get("system"))}
