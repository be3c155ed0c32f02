"""Verdicts of a judge that is a model, on each answer alone or on two arms' answers to the same prompt.

What a judge is shown is a `task`: the id of a held-out prompt and one answer, or two in an order. It names no arm, and
answers in the same words are one task, so that whose they are can change nothing.
"""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

Task = tuple[str, ...]
Reply = tuple[dict | None, str]  # what fitted and "", or None and what was wrong with the last
ABOUT = ("id", "kind", "group", "sample")


def decide(tasks: set[Task], ask: Callable[[Task], Reply], seed: int, concurrency: int, on_reply=lambda: None) -> dict:
    """The reply to each task, all asked for in one sequence that the seed decides, `concurrency` at a time."""
    sequence = random.Random(seed).sample(sorted(tasks), len(tasks))
    if concurrency == 1:  # in this thread: MLX is not for others
        return {task: _told(ask(task), on_reply) for task in sequence}
    with ThreadPoolExecutor(concurrency) as pool:
        futures = [pool.submit(ask, task) for task in sequence]
        try:
            return {task: _told(future.result(), on_reply) for task, future in zip(sequence, futures, strict=True)}
        finally:
            pool.shutdown(cancel_futures=True)  # one error is enough


def _told(reply: Reply, on_reply) -> Reply:
    on_reply()
    return reply


def shown(record: dict) -> str:
    """The answer of a response, whole and without its thinking; "" where the thinking was never finished."""
    return record["answer"].strip() if record["thinking_finished"] else ""


def tasks_alone(answers: dict[str, list[dict]]) -> set[Task]:
    """A task for each answer of each arm that there is."""
    return {(record["id"], text) for records in answers.values() for record in records if (text := shown(record))}


def verdicts_alone(answers: dict[str, list[dict]], replies: dict[Task, Reply], criteria_of) -> Iterator[dict]:
    """A verdict on each answer of each arm. Without an answer no criterion holds; without a reply the score is null."""
    for arm, records in answers.items():
        for record in records:
            criteria, text = criteria_of(record["kind"]), shown(record)
            nothing = {name: {"reason": "there is no answer", "holds": False} for name in criteria}
            reply, fault = replies[record["id"], text] if text else ({"criteria": nothing, "flags": {}}, "")
            # In the rubric's order, whatever order the judge wrote them in.
            held = reply and {name: reply["criteria"][name] for name in criteria}
            yield (
                {"arm": arm}
                | {key: record[key] for key in ABOUT}
                | {
                    "score": held and sum(criterion["holds"] for criterion in held.values()),
                    "out_of": len(criteria),
                    "answered": bool(text),
                    "criteria": held,
                    "flags": reply and dict(sorted(reply["flags"].items())),
                    "fault": fault or None,
                }
            )


def tasks_in_pairs(answers: dict[str, list[dict]]) -> set[Task]:
    """Two tasks, one for each order, for every two arms' different answers to the same prompt and sample."""
    found = set()
    for _, _, record, other in _pairs(answers):
        one, two = shown(record), shown(other)
        if one and two and one != two:
            found |= {(record["id"], one, two), (record["id"], two, one)}
    return found


def verdicts_in_pairs(answers: dict[str, list[dict]], replies: dict[Task, Reply], criteria_of) -> Iterator[dict]:
    """A verdict on every two arms' answers to the same prompt and sample: a win where both orders agree, otherwise a tie."""
    for arm, other, record, against in _pairs(answers):
        one, two = shown(record), shown(against)
        orders, decided_by = [], "judge"
        if not (one and two):
            score, consistent, decided_by = (bool(one) - bool(two) + 1) / 2, None, "no answer"
        elif one == two:
            score, consistent, decided_by = 0.5, None, "same answer"
        else:
            criteria = criteria_of(record["kind"])
            orders = [
                _order(arm, replies[record["id"], one, two], criteria),
                _order(other, replies[record["id"], two, one], criteria),
            ]
            score, consistent = outcome(orders[0]["better"], orders[1]["better"])
        yield (
            {"arm": arm, "other": other}
            | {key: record[key] for key in ABOUT}
            | {
                "score": score,
                "decided_by": decided_by,
                "consistent": consistent,
                "orders": orders,
            }
        )


def outcome(in_order: str | None, reversed_: str | None) -> tuple[float | None, bool | None]:
    """(score of the answer that stood first in the first order, whether the orders agree) of what was better in each."""
    if in_order is None or reversed_ is None:
        return None, None
    one = {"first": 1.0, "second": 0.0, "neither": 0.5}[in_order]
    two = {"first": 0.0, "second": 1.0, "neither": 0.5}[reversed_]
    return (one, True) if one == two else (0.5, False)


def _order(first: str, reply: Reply, criteria: dict) -> dict:
    said, fault = reply
    return {
        "first": first,
        "better": said and said["better"],
        "reason": said and said["reason"],
        "criteria": said and {name: said["criteria"][name] for name in criteria},
        "fault": fault or None,
    }


def _pairs(answers: dict[str, list[dict]]) -> Iterator[tuple[str, str, dict, dict]]:
    """(arm, other, its record, the other's) for every two arms and each prompt and sample."""
    for arm, other in combinations(answers, 2):
        theirs = {(record["id"], record["sample"]): record for record in answers[other]}
        for record in answers[arm]:
            yield arm, other, record, theirs[record["id"], record["sample"]]


def summary(records: list[dict]) -> str:
    """How many verdicts there are, how many are null, and what else must not go unseen."""
    null = sum(record["score"] is None for record in records)
    told = [f"{len(records)} verdicts, {null} of them null because no reply fitted"]
    if records and "other" in records[0]:
        asked = [record for record in records if record["decided_by"] == "judge"]
        inconsistent = sum(record["consistent"] is False for record in asked)
        told += [f"{inconsistent} ties because the two orders disagree", f"{len(records) - len(asked)} not asked about"]
    else:
        told.append(f"{sum(not record['answered'] for record in records)} without an answer")
    return "; ".join(told)
