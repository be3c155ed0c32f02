"""The verdicts of a language model as judge, on single responses or on pairs of responses by two arms to the same prompt.

A `Task` is what the judge reads: the id of an evaluation prompt and one answer, or two answers in a fixed order. It does not
name an arm, and identical answers of several arms are one task. So a verdict cannot depend on which arm wrote the answer.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from typing import Any

from cantica.core.records import Better, ModelVerdict, Order, PairwiseVerdict, Response, sample_key

Task = tuple[str, ...]
Reply = tuple[dict[str, Any] | None, str]  # a valid reply and "", or None and what was wrong with the last reply
Responses = dict[str, list[Response]]  # of each arm
CriteriaOf = Callable[[str], Iterable[str]]  # the names of the criteria for a kind of prompt


def decide(
    tasks: set[Task],
    ask: Callable[[Task], Reply],
    seed: int,
    concurrency: int,
    on_reply: Callable[[], None] = lambda: None,
) -> dict[Task, Reply]:
    """Return the judge's reply to each task. The tasks are shuffled with the seed, and `concurrency` are asked at a time.

    on_reply: called after each reply.
    """

    def counted(reply: Reply) -> Reply:
        on_reply()
        return reply

    sequence = random.Random(seed).sample(sorted(tasks), len(tasks))
    if concurrency == 1:  # in this thread, because MLX does not work in others
        return {task: counted(ask(task)) for task in sequence}
    with ThreadPoolExecutor(concurrency) as pool:
        futures = [pool.submit(ask, task) for task in sequence]
        try:
            return {task: counted(future.result()) for task, future in zip(sequence, futures, strict=True)}
        finally:
            pool.shutdown(cancel_futures=True)  # after an error, the tasks that wait are not asked


def shown(response: Response) -> str:
    """Return the answer of a response as a judge reads it, or "" if the thinking did not finish."""
    return response["answer"].strip() if response["thinking_finished"] else ""


def tasks_alone(responses: Responses) -> set[Task]:
    """Return a task for each answer that is not empty."""
    return {(one["id"], text) for of_arm in responses.values() for one in of_arm if (text := shown(one))}


def verdicts_alone(responses: Responses, replies: Mapping[Task, Reply], criteria_of: CriteriaOf) -> Iterator[ModelVerdict]:
    """Yield the verdict on each response.

    If the response has no answer, no criterion holds. If the judge gave no valid reply, the score is None.
    """
    for arm, of_arm in responses.items():
        for response in of_arm:
            names, text = list(criteria_of(response["kind"])), shown(response)
            reply, fault = replies[response["id"], text] if text else (_no_answer(names), "")
            # In the order of the rubric, not in that of the reply.
            criteria = None if reply is None else {name: reply["criteria"][name] for name in names}
            yield {
                "arm": arm,
                **sample_key(response),
                "score": None if criteria is None else sum(criterion["holds"] for criterion in criteria.values()),
                "out_of": len(names),
                "answered": bool(text),
                "criteria": criteria,
                "flags": None if reply is None else dict(sorted(reply["flags"].items())),
                "fault": fault or None,
            }


def _no_answer(names: list[str]) -> dict[str, Any]:
    return {"criteria": {name: {"reason": "there is no answer", "holds": False} for name in names}, "flags": {}}


def tasks_in_pairs(responses: Responses) -> set[Task]:
    """Return two tasks, one for each order, for each pair of different answers to the same prompt and sample."""
    tasks: set[Task] = set()
    for _, _, response, against in _pairs(responses):
        one, two = shown(response), shown(against)
        if one and two and one != two:
            tasks |= {(response["id"], one, two), (response["id"], two, one)}
    return tasks


def verdicts_in_pairs(
    responses: Responses, replies: Mapping[Task, Reply], criteria_of: CriteriaOf
) -> Iterator[PairwiseVerdict]:
    """Yield the verdict on each pair of responses to the same prompt and sample.

    A response wins if the judge prefers it in both orders; otherwise the two tie. An answer wins against a missing answer, and
    identical answers tie. If the judge gave no valid reply in one of the orders, the score is None.
    """
    for arm, other, response, against in _pairs(responses):
        one, two = shown(response), shown(against)
        verdict: PairwiseVerdict = {
            "arm": arm,
            "other": other,
            **sample_key(response),
            "score": 0.5,
            "decided_by": "same answer",
            "consistent": None,
            "orders": [],
        }
        if not (one and two):
            verdict["score"], verdict["decided_by"] = (bool(one) - bool(two) + 1) / 2, "no answer"
        elif one != two:
            names = list(criteria_of(response["kind"]))
            first = _order(arm, replies[response["id"], one, two], names)
            second = _order(other, replies[response["id"], two, one], names)
            verdict["decided_by"], verdict["orders"] = "judge", [first, second]
            verdict["score"], verdict["consistent"] = outcome(first["better"], second["better"])
        yield verdict


def outcome(in_order: Better | None, reversed_: Better | None) -> tuple[float | None, bool | None]:
    """Combine the replies in both orders: return (score, whether they agree), or (None, None) if one reply is not valid.

    The score is that of the response which is shown first in `in_order`.
    """
    if in_order is None or reversed_ is None:
        return None, None
    one = {"first": 1.0, "second": 0.0, "neither": 0.5}[in_order]
    two = {"first": 0.0, "second": 1.0, "neither": 0.5}[reversed_]
    return (one, True) if one == two else (0.5, False)


def _order(first: str, reply: Reply, names: list[str]) -> Order:
    content, fault = reply
    if content is None:
        return {"first": first, "better": None, "reason": None, "criteria": None, "fault": fault or None}
    criteria = {name: content["criteria"][name] for name in names}
    return {"first": first, "better": content["better"], "reason": content["reason"], "criteria": criteria, "fault": None}


def _pairs(responses: Responses) -> Iterator[tuple[str, str, Response, Response]]:
    """Yield (arm, other arm, its response, the other's response) for each pair of arms, and each sample that both have."""
    for arm, other in combinations(responses, 2):
        theirs = {(one["id"], one["sample"]): one for one in responses[other]}
        for response in responses[arm]:
            if (against := theirs.get((response["id"], response["sample"]))) is not None:
                yield arm, other, response, against


def summary(verdicts: Sequence[ModelVerdict | PairwiseVerdict]) -> str:
    """Return one line with the number of verdicts of a judge, and how many are null, unanswered, inconsistent or not judged."""
    null = sum(verdict["score"] is None for verdict in verdicts)
    parts = [f"{len(verdicts)} verdicts, {null} of them null because no reply was valid"]
    alone = [verdict for verdict in verdicts if "answered" in verdict]
    pairs = [verdict for verdict in verdicts if "orders" in verdict]
    if alone:
        parts += [f"{sum(not verdict['answered'] for verdict in alone)} without an answer"]
    if pairs:
        asked = [verdict for verdict in pairs if verdict["decided_by"] == "judge"]
        inconsistent = sum(verdict["consistent"] is False for verdict in asked)
        parts += [f"{inconsistent} ties because the two orders disagree"]
        parts += [f"{len(pairs) - len(asked)} decided without the judge"]
    return "; ".join(parts)
