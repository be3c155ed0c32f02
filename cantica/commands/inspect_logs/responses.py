"""Logs of an arm's responses to evaluation prompts, scored by the rules and by models as judges. Pure."""

from collections.abc import Iterable
from statistics import fmean
from typing import Any

from cantica.commands.inspect_logs.log import Answer, Document, Score, Task, log_of, result, sample
from cantica.judging.held_out import EvaluationPrompt
from cantica.judging.rules import Rules
from cantica.reporting.measures import items

MARK = {True: "✓", False: "✗"}
STOPPED = {True: "stop", False: "max_tokens", None: "unknown"}  # by whether the model ended the response, in Inspect's words
Record = dict[str, Any]  # of a stage; reporting.records names their fields


def held_out_log(
    task: Task,
    prompts: dict[str, EvaluationPrompt],
    rules: Rules,
    responses: list[Record],
    judged: list[Record],
    verdicts: list[Record],
) -> Document:
    """The log of an arm's responses to the evaluation prompts of one kind.

    prompts: by id. responses, judged: the records of data/responses and data/judgements, in the same order. verdicts: the
    records of data/judgements/models of any arm, each with the name of its `judge`; a judge may have left out responses.
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
    samples = [response_sample(task, prompts[r["id"]], r, scores[r["id"], r["sample"]]) for r in responses]
    return log_of(task, samples, results)


def response_sample(task: Task, prompt: EvaluationPrompt, response: Record, scores: dict[str, Score]) -> Document:
    """One response to an evaluation prompt. Inspect counts the responses to one prompt as epochs."""
    about: Document = {name: prompt[name] for name in ("kind", "group", "category", "evaluates") if name in prompt}
    about |= {name: response[name] for name in ("sample", "seed", "tokens", "ended", "thinking_finished")}
    answer = Answer(response["answer"], response["thinking"], STOPPED[response["ended"]])
    found = sample(task, response["id"], prompt["prompt"], answer, scores, prompt["evaluates"], response["sample"])
    return found | {"metadata": about}


# ---- scores of one response


def rule_score(judged: Record, rules: Rules) -> Score:
    """The score of the rules: how many criteria hold, and each with its reasons."""
    titles = {name: criterion["title"] for name, criterion in rules["kinds"][judged["kind"]].items()}
    text = f"{judged['score']} of {judged['out_of']} criteria hold.\n\n{explain(judged['criteria'], titles)}"
    metadata = {key: judged[key] for key in ("out_of", "criteria", "flags")}
    return {"value": judged["score"], "explanation": text, "metadata": metadata}


def flag_score(raised: dict[str, str]) -> Score:
    """The number of flags of a response, with the sentence that raised each."""
    lines = [f"- **{name}**: “{sentence}”" for name, sentence in raised.items()]
    return {"value": len(raised), "explanation": "\n".join(lines) or "None raised.", "metadata": {"flags": raised}}


def seen_from(arm: str, verdict: Record) -> Record:
    """A verdict on an arm's response as one of that arm. A pairwise verdict is turned round if `arm` is its second arm."""
    if "other" not in verdict:
        return verdict
    score, other = verdict["score"], verdict["other"]
    if verdict["arm"] != arm:
        score, other = None if score is None else 1 - score, verdict["arm"]
    return verdict | {"judge": f"{verdict['judge']} against {other}", "arm": arm, "other": other, "score": score}


def verdict_score(verdict: Record) -> Score:
    """The score of a model as judge. Inspect leaves a null verdict (no valid reply) out of means."""
    metadata = {key: value for key, value in verdict.items() if key not in ("judge", "arm", "id", "sample", "score")}
    raised = (f"- flag **{name}**: “{sentence}”" for name, sentence in (verdict.get("flags") or {}).items())
    orders = (explain_order(order, verdict) for order in verdict.get("orders") or ())
    text = "\n".join(filter(None, [verdict.get("fault"), explain(verdict.get("criteria") or {}, {}), *raised, *orders]))
    if verdict["score"] is None:
        return {"value": float("nan"), "reason": "grader_failed", "explanation": text, "metadata": metadata}
    return {"value": verdict["score"], "explanation": text, "metadata": metadata}


def explain(criteria: dict[str, Record], titles: dict[str, str]) -> str:
    """Criteria as Markdown, each with the judge's reason, or with the reasons of the rules and what they found."""
    lines = []
    for name, criterion in criteria.items():
        lines.append(f"- {MARK[criterion['holds']]} **{name}** {titles.get(name, '')}".rstrip())
        if "reason" in criterion:
            lines.append(f"    - {criterion['reason']}")
        lines += [f"    - {MARK[r['holds']]} {r['reason']} (found: {r['found']})" for r in criterion.get("reasons", [])]
    return "\n".join(lines)


def explain_order(order: Record, verdict: Record) -> str:
    """A pairwise judge's reply in one order of the two responses, as Markdown. The arm `order["first"]` stood first."""
    second = verdict["other"] if order["first"] == verdict["arm"] else verdict["arm"]
    name = {"first": order["first"], "second": second, "neither": "neither", None: "no verdict"}
    lines = [f"- {order['first']} first: **{name[order['better']]}**. {order['reason'] or order['fault']}"]
    lines += [f"    - {title}: {name[c['better']]}. {c['reason']}" for title, c in (order["criteria"] or {}).items()]
    return "\n".join(lines)


# ---- over all responses


def mean_scores(judge: str, judged: list[Record]) -> Document:
    """A judge's mean score for each kind of prompt; its metadata has the mean of each group too."""
    kinds = means_by_kind(judged)
    return result(judge, {kind: means["mean"] for kind, means in kinds.items()}) | {"metadata": kinds}


def means_by_kind(judged: list[Record]) -> dict[str, dict[str, float]]:
    """{kind: {"mean", group: its mean, "n": number of prompts}}, as in reports."""
    found: dict[str, dict[str, float]] = {}
    for kind in dict.fromkeys(verdict["kind"] for verdict in judged):
        of_kind = [verdict for verdict in judged if verdict["kind"] == kind]
        scores, group = items(of_kind, lambda verdict: verdict["score"]), {v["id"]: v["group"] for v in of_kind}
        groups = {name: fmean(scores[id_] for id_ in scores if group[id_] == name) for name in dict.fromkeys(group.values())}
        means = {"mean": fmean(scores.values())} | groups
        found[kind] = {name: round(mean, 4) for name, mean in means.items()} | {"n": len(scores)}
    return found


def flag_counts(judged: list[Record], names: Iterable[str]) -> dict[str, int]:
    """{flag: number of responses that raised it}, and "answers": the number that raised any."""
    counts = {name: sum(name in verdict["flags"] for verdict in judged) for name in names}
    return {"answers": sum(bool(verdict["flags"]) for verdict in judged)} | counts
