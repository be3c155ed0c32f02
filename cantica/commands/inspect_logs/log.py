"""Logs of an arm in Inspect's format (https://inspect.aisi.org.uk/eval-logs.html), as plain documents. Pure.

Inspect would make up ids and take the time. Here ids are hashes of what they stand for, and the times that a log must have
are EPOCH: when an answer was generated is no part of a build, and DVC may have restored it from its cache.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from statistics import fmean

from cantica.reporting.measures import items

EPOCH = "2000-01-01T00:00:00+00:00"
MARK = {True: "✓", False: "✗"}


@dataclass(frozen=True)
class Task:
    """What one log is about: one kind of prompts of one stage, put to one arm.

    name: held_out/general, without the arm. settings: how answers were generated. epochs: answers to each prompt.
    """

    name: str
    arm: str
    point: str
    base: str
    settings: dict
    epochs: int = 1

    @property
    def model(self) -> str:
        return self.base + ("" if self.point == "base" else f" + {self.point}")

    def named(self, kind: str) -> "Task":
        """The task of one kind of prompts, where `name` is that of a stage."""
        return replace(self, name=f"{self.name}/{kind}")

    @property
    def title(self) -> str:
        """held_out/general@final"""
        return f"{self.name}@{self.arm}"


def log_of(task: Task, samples: list[dict], results: list[dict]) -> dict:
    """The log of a task."""
    identity = digest(task.title, asdict(task), samples, results)
    settings = {key: task.settings[key] for key in ("max_tokens", "seed", "temperature", "top_p") if key in task.settings}
    ids = list(dict.fromkeys(sample["id"] for sample in samples))
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "eval_id": identity,
            "run_id": identity,
            "task_id": digest(task.title),  # two logs of one id would count as a task and its retry
            "created": EPOCH,
            "task": task.title,
            "task_args": {"arm": task.arm},
            "dataset": {"name": task.name, "samples": len(ids), "sample_ids": ids},
            "model": task.model,
            "model_generate_config": settings,
            "config": {"epochs": task.epochs, "epochs_reducer": ["mean"]},
            "metadata": {"arm": task.arm, "adapter": task.point, "base_model": task.base},
        },
        "plan": {"config": settings},
        "results": {"total_samples": len(samples), "completed_samples": len(samples), "scores": results},
        "stats": {"started_at": EPOCH, "completed_at": EPOCH},
        "samples": samples,
    }


def held_out_log(task: Task, prompts: dict, rules: dict, answers: list, judged: list, verdicts: list) -> dict:
    """The log of an arm's answers to the held-out prompts of one kind: a sample for each, scored by the rules and other judges.

    `prompts` by id; `answers` and `judged` are the records of data/responses and data/judgements in the same order; `verdicts`
    those of data/judgements/models, of any arm, with the name of the `judge`, who may have left answers out.
    """
    arm = task.arm
    scores = {(j["id"], j["sample"]): {"rules": rule_score(j, rules), "flags": flag_score(j["flags"])} for j in judged}
    verdicts = [seen_from(arm, verdict) for verdict in verdicts if arm in (verdict["arm"], verdict.get("other"))]
    verdicts = [verdict for verdict in verdicts if (verdict["id"], verdict["sample"]) in scores]
    for verdict in verdicts:
        scores[verdict["id"], verdict["sample"]][verdict["judge"]] = verdict_score(verdict)
    results = [mean_scores("rules", judged), result("flags", flag_counts(judged, rules["flags"]))]
    for judge in dict.fromkeys(verdict["judge"] for verdict in verdicts):
        given = [prompts[v["id"]] | v for v in verdicts if v["judge"] == judge and v["score"] is not None]
        results.append(mean_scores(judge, given))
    return log_of(task, [answer_sample(task, prompts[a["id"]], a, scores[a["id"], a["sample"]]) for a in answers], results)


def digest(*parts) -> str:
    """22 hexadecimal digits, the length of Inspect's own ids, that stand for these values."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:22]


def answer_sample(task: Task, prompt: dict, answer: dict, scores: dict) -> dict:
    """One answer to a held-out prompt: the thinking apart, and the scores. Samples are counted as epochs."""
    about = {name: prompt[name] for name in ("kind", "group", "category", "evaluates") if name in prompt}
    about |= {name: answer[name] for name in ("sample", "seed", "tokens", "ended", "thinking_finished")}
    reply = Answer(answer["answer"], answer["thinking"], "stop" if answer["ended"] else "max_tokens")
    found = sample(task, answer["id"], prompt["prompt"], reply, scores, prompt["evaluates"], answer["sample"])
    return found | {"metadata": about}


@dataclass(frozen=True)
class Answer:
    """What a model said, and how it came to its end, in Inspect's words."""

    text: str
    thinking: str = ""
    ended: str = "unknown"


def sample(task: Task, id_: str, prompt: str, answer: Answer | None, scores: dict, target: str, number: int = 0) -> dict:
    """One prompt of a task: what was asked, what came back where anything did, and the scores, with nothing more about it."""
    key = (task.title, id_, number)
    system = task.settings.get("system")
    asked = [{"role": "system", "content": system}] if system else []
    asked.append({"role": "user", "content": prompt})
    asked = [message | {"id": digest(*key, message["role"]), "source": "input"} for message in asked]
    said = answer.text if answer else ""
    replies = []
    if answer:
        thinking = [{"type": "reasoning", "reasoning": answer.thinking}] if answer.thinking else []
        content = [*thinking, {"type": "text", "text": said}] if thinking else said
        about = {"id": digest(*key, "assistant"), "source": "generate", "model": task.model}
        replies = [{"role": "assistant", "content": content} | about]
    choices = [{"message": reply, "stop_reason": answer.ended} for reply in replies]
    return {
        "id": id_,
        "epoch": number + 1,
        "uuid": digest(*key),
        "input": asked,
        "target": target,
        "messages": [*asked, *replies],
        "output": {"model": task.model, "choices": choices, "completion": said},
        # The viewer's list of samples shows what the score says was judged.
        "scores": {judge: score | {"answer": said} for judge, score in scores.items()},
        "metadata": {},
    }


def rule_score(judged: dict, rules: dict) -> dict:
    """The verdict of the rules: how many criteria hold, and each with its reasons."""
    titles = {name: criterion["title"] for name, criterion in rules["kinds"][judged["kind"]].items()}
    text = f"{judged['score']} of {judged['out_of']} criteria hold.\n\n{explain(judged['criteria'], titles)}"
    metadata = {key: judged[key] for key in ("out_of", "criteria", "flags")}
    return {"value": judged["score"], "explanation": text, "metadata": metadata}


def flag_score(raised: dict[str, str]) -> dict:
    """How many flags an answer raised, with the sentence that raised each."""
    lines = [f"- **{name}**: “{sentence}”" for name, sentence in raised.items()]
    return {"value": len(raised), "explanation": "\n".join(lines) or "None raised.", "metadata": {"flags": raised}}


def seen_from(arm: str, verdict: dict) -> dict:
    """A verdict on an arm's answer as one of that arm. One on two arms' answers is its own for either, under both names."""
    if "other" not in verdict:
        return verdict
    score, other = verdict["score"], verdict["other"]
    if verdict["arm"] != arm:
        score, other = None if score is None else 1 - score, verdict["arm"]
    return verdict | {"judge": f"{verdict['judge']} against {other}", "arm": arm, "other": other, "score": score}


def verdict_score(verdict: dict) -> dict:
    """Another judge's verdict. One without a score, because no reply fitted, is kept and Inspect leaves it out of means."""
    metadata = {key: value for key, value in verdict.items() if key not in ("judge", "arm", "id", "sample", "score")}
    raised = (f"- flag **{name}**: “{sentence}”" for name, sentence in (verdict.get("flags") or {}).items())
    orders = (explain_order(order, verdict) for order in verdict.get("orders") or ())
    text = "\n".join(filter(None, [verdict.get("fault"), explain(verdict.get("criteria") or {}, {}), *raised, *orders]))
    if verdict["score"] is None:
        return {"value": float("nan"), "reason": "grader_failed", "explanation": text, "metadata": metadata}
    return {"value": verdict["score"], "explanation": text, "metadata": metadata}


def explain(criteria: dict, titles: dict[str, str]) -> str:
    """Criteria as Markdown, with what a judge says of each: a reason, or those of the rules with what was found."""
    lines = []
    for name, criterion in criteria.items():
        lines.append(f"- {MARK[criterion['holds']]} **{name}** {titles.get(name, '')}".rstrip())
        if "reason" in criterion:
            lines.append(f"    - {criterion['reason']}")
        lines += [f"    - {MARK[r['holds']]} {r['reason']} (found: {r['found']})" for r in criterion.get("reasons", [])]
    return "\n".join(lines)


def explain_order(order: dict, verdict: dict) -> str:
    """What a judge of two answers said, as Markdown, when the answer of the arm `order["first"]` stood first."""
    second = verdict["other"] if order["first"] == verdict["arm"] else verdict["arm"]
    name = {"first": order["first"], "second": second, "neither": "neither", None: "no verdict"}
    lines = [f"- {order['first']} first: **{name[order['better']]}**. {order['reason'] or order['fault']}"]
    lines += [f"    - {title}: {name[c['better']]}. {c['reason']}" for title, c in (order["criteria"] or {}).items()]
    return "\n".join(lines)


def mean_scores(judge: str, judged: list[dict]) -> dict:
    """A judge's mean score for each kind of prompt and, beside them, the mean of each group in it."""
    kinds = means_by_kind(judged)
    return result(judge, {kind: means["mean"] for kind, means in kinds.items()}) | {"metadata": kinds}


def result(name: str, values: dict) -> dict:
    """Numbers over all samples under a score's name."""
    return {"name": name, "scorer": name, "metrics": {key: {"name": key, "value": value} for key, value in values.items()}}


def means_by_kind(judged: list[dict]) -> dict[str, dict]:
    """The mean score of each kind of prompt and of each group in it, and `n`, the number of prompts, as the report has them."""
    found: dict[str, dict] = {}
    for kind in dict.fromkeys(verdict["kind"] for verdict in judged):
        of_kind = [verdict for verdict in judged if verdict["kind"] == kind]
        scores, group = items(of_kind, lambda verdict: verdict["score"]), {v["id"]: v["group"] for v in of_kind}
        groups = {name: fmean(scores[id_] for id_ in scores if group[id_] == name) for name in dict.fromkeys(group.values())}
        means = {"mean": fmean(scores.values())} | groups
        found[kind] = {name: round(mean, 4) for name, mean in means.items()} | {"n": len(scores)}
    return found


def flag_counts(judged: list[dict], names) -> dict[str, int]:
    """How many answers raised each flag, and `answers`: how many raised any."""
    counts = {name: sum(name in verdict["flags"] for verdict in judged) for name in names}
    return {"answers": sum(bool(verdict["flags"]) for verdict in judged)} | counts
