"""What every arm was asked, what it answered and how that was judged, as logs that `inspect view` opens.

The same build gives the same bytes: `cantica/inspect_log.py` leaves Inspect no id and no time to make up, and the times in
the zip file that it writes are taken out.
"""

import tempfile
import zipfile
from pathlib import Path

from cantica.inspect_log import log_of
from stages.lib.common.documents import raise_any, read_jsonl, read_yaml, validate_records
from stages.lib.common.errors import InputError, Problem
from stages.lib.common.files import whole_file
from stages.lib.held_out import asked_of, load_prompts
from stages.lib.params import FILE, read_params
from stages.lib.rules import load_rules

DATA, LOCK, PROMPTS, RULES = Path("data"), Path("dvc.lock"), Path("prompts/held_out"), Path("prompts/judge/rules.yaml")
BUILD = "`dvc repro` builds what is missing or out of date"


def write_transcripts(out: Path) -> list[Path]:
    """Write `<out>/<arm>.eval` for every arm and return the paths. Raises InputError before anything is written."""
    try:
        from inspect_ai.log import EvalLog, write_eval_log
    except ImportError:
        hint = "with the project's environment active, in its root: pip install --editable '.[inspect]'"
        raise InputError(Problem("inspect-ai", "", "not installed", "the package that writes Inspect's logs", hint)) from None
    logs = {out / f"{arm}.eval": EvalLog.model_validate(log) for arm, log in read_logs().items()}
    for file, log in logs.items():
        with tempfile.TemporaryDirectory() as folder, whole_file(file) as partial:
            write_eval_log(log, f"{folder}/log.eval")
            repack(Path(folder, "log.eval"), partial)
    return list(logs)


def repack(source: Path, target: Path) -> None:
    """Copy a zip file without the times at which its members were written."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name), old.read(name), zipfile.ZIP_DEFLATED)


def read_logs() -> dict[str, dict]:
    """The log of each arm, from the build in the current folder. Raises InputError for all that is missing or out of date."""
    params = read_params("arms", "base.model", "held_out", "judges", "respond")
    prompts = {prompt["id"]: prompt for prompt in asked_of(load_prompts(PROMPTS), params["held_out"], FILE)}
    rules = load_rules(RULES)
    files = {arm: (DATA / f"responses/{arm}.jsonl", DATA / f"judgements/{arm}.jsonl") for arm in params["arms"]}
    of_models = {judge: DATA / f"judgements/models/{judge}.jsonl" for judge in params["judges"]}
    needed = [DATA / "held_out.jsonl", *(file for pair in files.values() for file in pair), *of_models.values()]
    raise_any([Problem(str(f), "", "no such file", "what the build makes", BUILD) for f in needed if not f.exists()])

    asked = {record["id"]: record["prompt"] for record in read_jsonl(DATA / "held_out.jsonl")}
    problems = []
    if asked != {id_: prompt["prompt"] for id_, prompt in prompts.items()}:
        problems.append(Problem(str(PROMPTS), "", "prompts edited since", f"those of {DATA / 'held_out.jsonl'}", BUILD))
    built = (read_yaml(LOCK) or {}).get("stages", {}) if LOCK.exists() else {}
    verdicts = [{"judge": judge} | record for judge, file in of_models.items() for record in read_jsonl(file)]
    logs = {}
    for arm, (responses, judgements) in files.items():
        answers, judged = read_jsonl(responses), read_jsonl(judgements)
        validate_records(answers, "response", responses)
        validate_records(judged, "judgement", judgements)
        stale = differences(arm, params, rules, asked, answers, judged, built.get(f"respond@{arm}"))
        problems += [Problem(str(responses), "", what, "what params.yaml and prompts/ ask for", BUILD) for what in stale]
        if not stale:
            logs[arm] = log_of(arm, params, prompts, rules, answers, judged, verdicts)
    raise_any(problems)
    return logs


def differences(arm: str, params: dict, rules: dict, asked, answers: list, judged: list, built: dict | None) -> list[str]:
    """In what the answers and verdicts of an arm are not those that params, prompts and rules now ask for."""
    keys = [(record["id"], record["sample"]) for record in answers]
    wanted = {(id_, sample) for id_ in asked for sample in range(params["respond"]["samples"])}
    found = []
    if set(keys) != wanted:
        found.append("answers to other prompts")
    if keys != [(record["id"], record["sample"]) for record in judged]:
        found.append("answers that were not judged")
    if any(list(record["criteria"]) != list(rules["kinds"].get(record["kind"], ())) for record in judged):
        found.append("verdicts on other criteria")
    if built and built["params"][str(FILE)]["respond"] != params["respond"]:
        found.append("answers generated with other settings under `respond`")
    if built and f"models/adapters/{params['arms'][arm]}" not in [dep["path"] for dep in built["deps"]]:
        found.append("answers of another adapter")
    return found
