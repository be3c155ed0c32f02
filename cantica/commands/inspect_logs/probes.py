"""Logs of an arm's probes and capability tests. Pure."""

from dataclasses import replace
from typing import Any

from cantica.commands.inspect_logs.log import Answer, Document, Score, Task, log_of, mean, result, sample, share
from cantica.core.records import BehaviourProbe
from cantica.probes.behaviours import TitledBehaviour, asked, is_share
from cantica.probes.pairs import Pair
from cantica.reporting.probes import at_the_end

Record = dict[str, Any]


def probe_logs(
    task: Task, pairs: list[Pair], behaviours: dict[str, TitledBehaviour], records: list
) -> list[tuple[Task, Document]]:
    """(task, log) of the pairs and of each behaviour. Names of a checkpoint's logs end in its iteration."""
    found = []
    for iteration in dict.fromkeys(record["iteration"] for record in records):
        end = "" if iteration is None else f"_{iteration}"
        of_it = at_the_end(records) if iteration is None else [r for r in records if r["iteration"] == iteration]
        if pairs:
            found.append((named := task.named(f"pairs{end}"), pairs_log(named, pairs, [r for r in of_it if "margin" in r])))
        for name, behaviour in behaviours.items():
            measured = [record for record in of_it if record.get("behaviour") == name]
            named = replace(task, name="behaviours").named(f"{name}{end}")
            found.append((named, behaviour_log(named, behaviour, measured)))
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


def behaviour_log(task: Task, behaviour: TitledBehaviour, records: list) -> Document:
    """The log of a behaviour: every item under every condition. The mean of each measure is given for each condition."""
    samples = [behaviour_sample(task, behaviour, record) for record in records]
    results = []
    for measure in behaviour["measures"]:
        by_condition: dict[str, list[Document]] = {condition: [] for condition in behaviour["conditions"]}
        for found in samples:
            by_condition[found["metadata"]["condition"]].append(found)
        results.append(result(measure, {condition: mean(own, measure) for condition, own in by_condition.items()}))
    return log_of(task, samples, results)


def behaviour_sample(task: Task, behaviour: TitledBehaviour, record: BehaviourProbe) -> Document:
    """One item under one condition. A start that the condition gives is shown before the answer that continues it."""
    item = next(item for item in behaviour["items"] if item["id"] == record["id"])
    condition = behaviour["conditions"][record["condition"]]
    start = condition.get("start", "")
    text = record["answer"]
    answer = None if text is None else Answer(start + text, ended="unknown" if record["thinking_finished"] else "max_tokens")
    scores: dict[str, Score] = {}
    for name, measure in behaviour["measures"].items():
        ((kind, of),) = measure.items()
        scores[name] = {
            "value": record["values"][name],
            "explanation": f"{kind}: {of}{'' if is_share(measure) else ', nats per token'}",
        }
    asked_task = replace(task, settings=task.settings | {"system": condition.get("system", task.settings.get("system"))})
    about = {"condition": record["condition"], "start": start, "thinking_finished": record["thinking_finished"]}
    id_ = f"{record['id']} {record['condition']}"
    return sample(asked_task, id_, asked(item, condition), answer, scores, item.get("answer", "")) | {"metadata": about}


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
