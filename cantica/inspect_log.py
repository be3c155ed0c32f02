"""The log of one arm in Inspect's format (https://inspect.aisi.org.uk/eval-logs.html), as a plain document. Pure.

Inspect would make up ids and take the time. Here ids are hashes of what they stand for, and the times that a log must have
are EPOCH: when an answer was generated is no part of a build, and DVC may have restored it from its cache.
"""

import hashlib
import json

from stages.lib.metrics import flag_metrics, judge_metrics

EPOCH = "2000-01-01T00:00:00+00:00"
MARK = {True: "✓", False: "✗"}


def log_of(arm: str, params: dict, prompts: dict, rules: dict, answers: list, judged: list, verdicts: list) -> dict:
    """The log of an arm: a sample for each answer, scored by the rules and, in `verdicts`, by other judges.

    `prompts` by id; `answers` and `judged` are the records of data/responses and data/judgements in the same order. Another
    judge may have left answers out.
    """
    settings, point = params["respond"], params["arms"][arm]
    model = params["base"]["model"] + ("" if point == "base" else f" + {point}")
    scores = {(j["id"], j["sample"]): {"rules": rule_score(j, rules), "flags": flag_score(j["flags"])} for j in judged}
    verdicts = [verdict for verdict in verdicts if (verdict["id"], verdict["sample"]) in scores]
    for verdict in verdicts:
        scores[verdict["id"], verdict["sample"]][verdict["judge"]] = verdict_score(verdict)
    results = [mean_scores("rules", judged), result("flags", flag_metrics(judged, rules["flags"]))]
    for judge in dict.fromkeys(verdict["judge"] for verdict in verdicts):
        given = [prompts[v["id"]] | v for v in verdicts if v["judge"] == judge and v["score"] is not None]
        results.append(mean_scores(judge, given))
    samples = [sample(arm, model, settings["system"], prompts[a["id"]], a, scores[a["id"], a["sample"]]) for a in answers]
    identity = digest(arm, params, samples, results)
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "eval_id": identity,
            "run_id": identity,
            "task_id": digest("held_out", arm),  # two logs of one id would count as a task and its retry
            "created": EPOCH,
            "task": "held_out",
            "task_args": {"arm": arm},
            "dataset": {"name": "held_out", "samples": len(prompts), "sample_ids": list(prompts)},
            "model": model,
            "model_generate_config": {key: settings[key] for key in ("max_tokens", "seed", "temperature", "top_p")},
            "config": {"epochs": settings["samples"], "epochs_reducer": ["mean"]},
            "metadata": {"arm": arm, "adapter": point, "base_model": params["base"]["model"]},
        },
        "plan": {"config": {key: settings[key] for key in ("max_tokens", "seed", "temperature", "top_p")}},
        "results": {"total_samples": len(samples), "completed_samples": len(samples), "scores": results},
        "stats": {"started_at": EPOCH, "completed_at": EPOCH},
        "samples": samples,
    }


def digest(*parts) -> str:
    """22 hexadecimal digits, the length of Inspect's own ids, that stand for these values."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:22]


def sample(arm: str, model: str, system: str | None, prompt: dict, answer: dict, scores: dict) -> dict:
    """One answer: what was asked, what came back with the thinking apart, and the scores. Samples are counted as epochs."""
    key = (arm, answer["id"], answer["sample"])
    asked = [{"role": "system", "content": system}] if system else []
    asked.append({"role": "user", "content": prompt["prompt"]})
    asked = [message | {"id": digest(*key, message["role"]), "source": "input"} for message in asked]
    thinking = [{"type": "reasoning", "reasoning": answer["thinking"]}] if answer["thinking"] else []
    content = [*thinking, {"type": "text", "text": answer["answer"]}] if thinking else answer["answer"]
    reply = {"role": "assistant", "content": content, "id": digest(*key, "assistant"), "source": "generate", "model": model}
    about = {name: prompt[name] for name in ("kind", "group", "category", "evaluates") if name in prompt}
    about |= {name: answer[name] for name in ("sample", "seed", "tokens", "ended", "thinking_finished")}
    stopped = {"message": reply, "stop_reason": "stop" if answer["ended"] else "max_tokens"}
    return {
        "id": answer["id"],
        "epoch": answer["sample"] + 1,
        "uuid": digest(*key),
        "input": asked,
        "target": prompt["evaluates"],
        "messages": [*asked, reply],
        "output": {"model": model, "choices": [stopped], "completion": answer["answer"]},
        # The viewer's list of samples shows what the score says was judged.
        "scores": {judge: score | {"answer": answer["answer"]} for judge, score in scores.items()},
        "metadata": about,
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


def verdict_score(verdict: dict) -> dict:
    """Another judge's verdict. One without a score is kept, and Inspect leaves it out of means."""
    metadata = {key: value for key, value in verdict.items() if key not in ("judge", "arm", "id", "sample", "score")}
    score = {"explanation": explain(verdict.get("criteria") or {}, {}), "metadata": metadata}
    if verdict["score"] is None:
        return score | {"value": float("nan"), "reason": "grader_failed"}
    return score | {"value": verdict["score"]}


def explain(criteria: dict, titles: dict[str, str]) -> str:
    """Criteria with their reasons, as Markdown. A reason is a text, or a rule that holds or not, with what was found."""
    lines = []
    for name, criterion in criteria.items():
        told = criterion if isinstance(criterion, dict) else {"holds": criterion}
        given = next((told[key] for key in ("holds", "score") if key in told), "")
        lines.append(
            f"- {MARK.get(given, given) if isinstance(given, bool) else given} **{name}** {titles.get(name, '')}".rstrip()
        )
        reasons = told.get("reasons", told.get("reason", []))
        for reason in [reasons] if isinstance(reasons, str) else reasons:
            lines.append(f"    - {reason}" if isinstance(reason, str) else _told(reason))
    return "\n".join(lines)


def _told(reason: dict) -> str:
    return f"    - {MARK[reason['holds']]} {reason['reason']} (found: {reason['found']})"


def mean_scores(judge: str, judged: list[dict]) -> dict:
    """A judge's mean score for each kind of prompt and, beside them, all that metrics.json tells of each kind."""
    kinds = judge_metrics(judged)
    return result(judge, {kind: means["mean"] for kind, means in kinds.items()}) | {"metadata": kinds}


def result(name: str, values: dict) -> dict:
    """Numbers over all samples under a score's name."""
    return {"name": name, "scorer": name, "metrics": {key: {"name": key, "value": value} for key, value in values.items()}}
