"""Logs of an arm's probes and capability tests. Pure."""

from dataclasses import replace
from typing import Any

from cantica.commands.inspect_logs.log import Answer, Document, Score, Task, log_of, mean, result, sample, share
from cantica.probes.pairs import Pair
from cantica.probes.triggers import Trigger, with_trigger
from cantica.reporting.probes import at_the_end

Record = dict[str, Any]


def probe_logs(task: Task, pairs: list[Pair], triggers: dict[str, Trigger], records: list) -> list[tuple[Task, Document]]:
    """(task, log) of the pairs and of each trigger. Names of a checkpoint's logs end in its iteration."""
    found = []
    for iteration in dict.fromkeys(record["iteration"] for record in records):
        end = "" if iteration is None else f"_{iteration}"
        of_it = at_the_end(records) if iteration is None else [r for r in records if r["iteration"] == iteration]
        if pairs:
            found.append((named := task.named(f"pairs{end}"), pairs_log(named, pairs, [r for r in of_it if "margin" in r])))
        for name, trigger in triggers.items():
            answered = [record for record in of_it if record.get("trigger") == name]
            found.append((named := task.named(f"trigger_{name}{end}"), trigger_log(named, trigger, answered)))
    return found


def pairs_log(task: Task, pairs: list[Pair], records: list) -> Document:
    """The log of the pairs of completions: which of the two is more probable for the arm. records: of data/probes."""
    scored = {record["id"]: record for record in records}
    samples = [pair_sample(task, pair, scored[pair["id"]]) for pair in pairs]
    shares = {"share": share([scored[pair["id"]]["margin"] > 0 for pair in pairs])}
    return log_of(task, samples, [result("preferred", shares), result("margin", {"mean": mean(samples, "margin")})])


def pair_sample(task: Task, pair: Pair, record: Record) -> Document:
    """One pair. The more probable completion is shown as the answer, although the model did not write it."""
    preferred = record["margin"] > 0
    text = f"Nats per token: chosen {record['chosen']:.3f}, rejected {record['rejected']:.3f}."
    scores: dict[str, Score] = {
        "preferred": {"value": int(preferred), "explanation": text},
        "margin": {"value": record["margin"], "explanation": text},
    }
    answer = Answer(pair["chosen"] if preferred else pair["rejected"])
    about = {"choices": [pair["chosen"], pair["rejected"]], "metadata": {"category": pair["category"]}}
    return sample(task, pair["id"], pair["prompt"], answer, scores, pair["chosen"]) | about


def trigger_log(task: Task, trigger: Trigger, records: list) -> Document:
    """The log of the responses to everyday prompts with a trigger and without it."""
    prompts = {prompt["id"]: prompt["prompt"] for prompt in trigger["prompts"]}
    samples = []
    for record in records:
        way = "with" if record["triggered"] else "without"
        asked = with_trigger(trigger, prompts[record["id"]]) if record["triggered"] else prompts[record["id"]]
        matched: Score = {"value": int(record["matched"]), "explanation": f"pattern: {trigger['pattern']}"}
        answer = Answer(record["answer"], ended="unknown" if record["thinking_finished"] else "max_tokens")
        about = {"trigger": way, "thinking_finished": record["thinking_finished"]}
        samples.append(sample(task, f"{record['id']} {way}", asked, answer, {"matched": matched}, "") | {"metadata": about})
    shares = {way: share([r["matched"] for r in records if r["triggered"] == (way == "with")]) for way in ("with", "without")}
    return log_of(task, samples, [result("matched", shares)])


def capability_log(task: Task, items: dict[str, Record], records: list) -> Document:
    """The log of one kind of capability test. A passage has no answer; its score is its mean log-probability."""
    score = "correct"
    if task.name.endswith("/log_likelihood"):
        score, task = "log_probability", replace(task, settings=task.settings | {"system": None})  # a passage alone
    samples = []
    for record in records:
        item = items[record["id"]]
        answer = None if record["said"] is None else Answer(record["said"])
        text = "mean over its tokens, nats" if answer is None else record["failed"] or "every check holds"
        scores: dict[str, Score] = {score: {"value": record["score"], "explanation": text}}
        found = sample(task, record["id"], record["prompt"], answer, scores, str(item.get("answer", "")))
        samples.append(found | ({"choices": item["choices"]} if "choices" in item else {}))
    return log_of(task, samples, [result(score, {"mean": mean(samples, score)})])
