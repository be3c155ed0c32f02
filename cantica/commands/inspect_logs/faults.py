"""The prompts that params.yaml and prompts/ ask for now, and the faults of a build that answers others."""

import hashlib
from pathlib import Path
from typing import Any

from cantica.capability.items import evenly, load_items
from cantica.commands.dvc.records import Lock, dependencies, folder_hash
from cantica.core.documents import read_json, read_jsonl
from cantica.core.errors import Problem
from cantica.core.params import FILE
from cantica.judging.answers import load_answers, responses_of
from cantica.judging.held_out import EvaluationPrompt, asked_of, load_prompts, question_of
from cantica.judging.rules import load_rules
from cantica.probes.behaviour_files import chosen, load_behaviours
from cantica.probes.behaviours import TitledBehaviour, without_title
from cantica.probes.pairs import Pair, load_pairs
from cantica.reporting.probes import at_the_end

DATA, PROMPTS, RULES = Path("data"), Path("prompts/held_out"), Path("prompts/judge/rules.yaml")
PAIRS, BEHAVIOURS, CAPABILITY = map(Path, ("prompts/probes/pairs", "prompts/probes/behaviours", "prompts/capability"))
BUILD = "`dvc repro` builds what is missing or out of date"

Record = dict[str, Any]


# ---- the prompts


def asked(params: dict) -> dict[str, EvaluationPrompt]:
    """The evaluation prompts by id."""
    return {prompt["id"]: prompt for prompt in asked_of(load_prompts(PROMPTS), params["held_out"], FILE)}


def probe_pairs(params: dict) -> list[Pair]:
    """The pairs of completions for the categories in params."""
    return [pair for pair in load_pairs(PAIRS) if pair["category"] in params["categories"]]


def probe_behaviours(params: dict) -> dict[str, TitledBehaviour]:
    """The behaviours by name."""
    return chosen(load_behaviours(BEHAVIOURS), params["probe"]["behaviours"], FILE)


def capability_items(params: dict) -> dict[str, list[Record]]:
    """The items of each kind of capability test that has some."""
    settings = params["capability"]
    found = {kind: evenly(items, settings["items"]) for kind, items in load_items(CAPABILITY, settings["seed"]).items()}
    return {kind: items for kind, items in found.items() if items}


# ---- the faults


def prompt_faults(params: dict, built: Lock) -> list[Problem]:
    """A Problem for each folder of prompts that was edited after the build. Probes record only the ids of their prompts."""
    built_from = {record["id"]: record["prompt"] for record in read_jsonl(DATA / "held_out.jsonl")}
    got, problems = "prompts edited after the build", []
    if built_from != {id_: prompt["prompt"] for id_, prompt in asked(params).items()}:
        problems.append(Problem(str(PROMPTS), "", got, f"the prompts of {DATA / 'held_out.jsonl'}", BUILD))
    now = {name: without_title(behaviour) for name, behaviour in probe_behaviours(params).items()}
    measured = DATA / "behaviours.json"
    if read_json(measured) != now or _others_read(measured, hash_of(measured), params, built):
        problems.append(Problem(str(BEHAVIOURS), "", got, "the behaviours that were measured", BUILD))
    if _others_read(PAIRS, folder_hash(hashes_of(PAIRS)), params, built):
        problems.append(Problem(str(PAIRS), "", got, "the pairs that the arms scored", BUILD))
    return problems


def _others_read(path: Path, content: str, params: dict, built: Lock) -> bool:
    """Whether the probes of some arm were built from other content of a path. content: its hash now."""
    read = [dependencies(built.get(f"probe@{arm}", {})).get(str(path), content) for arm in params["arms"]]
    return set(read) > {content}


def hashes_of(folder: Path) -> dict[str, str]:
    """DVC's hash of each file in a folder, by its path there."""
    return {file.relative_to(folder).as_posix(): hash_of(file) for file in folder.rglob("*") if file.is_file()}


def hash_of(file: Path) -> str:
    """DVC's hash of a file."""
    return hashlib.md5(file.read_bytes()).hexdigest()


def response_faults(arm: str, params: dict, responses: list[Record], judged: list[Record]) -> list[str]:
    """How an arm's responses and judgements differ from what params, prompts, rules and files of answers ask for."""
    keys, rules = [(record["id"], record["sample"]) for record in responses], load_rules(RULES)
    found = []
    if arm in params["answers"]:
        file = Path(params["answers"][arm]["file"])
        questions = [question_of(prompt) for prompt in asked(params).values()]
        if responses != responses_of(load_answers(file, load_prompts(PROMPTS)), questions, file):
            found.append(f"other answers than in {file}")
    elif set(keys) != {(id_, sample) for id_ in asked(params) for sample in range(params["respond"]["samples"])}:
        found.append("answers to other prompts")
    if keys != [(record["id"], record["sample"]) for record in judged]:
        found.append("answers that were not judged")
    if any(list(record["criteria"]) != list(rules["kinds"].get(record["kind"], ())) for record in judged):
        found.append("verdicts on other criteria")
    return found


def probe_faults(params: dict, probed: list[Any]) -> list[str]:
    """How an arm's probes differ from those asked for."""
    wanted: set[tuple[str, str | None, str | None]] = {(pair["id"], None, None) for pair in probe_pairs(params)}
    for name, behaviour in probe_behaviours(params).items():
        wanted |= {(item["id"], name, condition) for item in behaviour["items"] for condition in behaviour["conditions"]}
    there = {(record["id"], record.get("behaviour"), record.get("condition")) for record in at_the_end(probed)}
    return ["answers to other probes"] if there != wanted else []


def capability_faults(params: dict, tested: list[Record]) -> list[str]:
    """How an arm's capability tests differ from those asked for."""
    wanted = [
        (kind, item["id"], item.get("question") or item.get("prompt") or item["text"])
        for kind, items in capability_items(params).items()
        for item in items
    ]
    there = [(record["kind"], record["id"], record["prompt"]) for record in tested]
    return ["answers to other items"] if there != wanted else []


def setting_faults(arm: str, section: str, params: dict, built: Lock) -> list[str]:
    """How the inputs of an arm's stage, named like its section of params, differ from those that params name now.

    An arm behind a server has a section of its own, and a file of answers has none.
    """
    if arm in params["answers"]:
        return []
    stage, key = (f"{section}@{arm}", section) if arm in params["arms"] else (f"{section}_server@{arm}", f"servers.{arm}")
    entry = built.get(stage)
    if entry is None:
        return []
    was = entry["params"][str(FILE)]
    before, now, found = settings_of(was, key), params[section] if key == section else params["servers"][arm], []
    if before != (now if key in was else {name: now.get(name) for name in before}):
        found.append(f"answers generated with other settings under `{key}`")
    if arm in params["servers"] and was.get("respond.system") != params["respond"]["system"]:
        found.append("answers generated with another `respond.system`")
    if arm in params["arms"]:
        own = params["arms"][arm]
        if was[f"arms.{arm}"].get("system", before.get("system")) != own.get("system", params[section].get("system")):
            found.append("answers generated with another system prompt")
        if f"models/adapters/{own['point']}" not in dependencies(entry):
            found.append("answers of another adapter")
    return found


def settings_of(was: dict[str, Any], section: str) -> dict[str, Any]:
    """The settings of a section that a stage depends on: all of them, or those that `dvc.yaml` names one by one."""
    named = {key.removeprefix(f"{section}."): value for key, value in was.items() if key.startswith(f"{section}.")}
    return was.get(section, named)
