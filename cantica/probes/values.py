"""The values of a behaviour's measures: from an answer, or from the log-probabilities of completions. Pure."""

import re

from cantica.probes.behaviours import BehaviourMeasure, Item


def answer_value(measure: BehaviourMeasure, item: Item, answer: str) -> int:
    """Return 1 if an answer has what the measure looks for: its pattern, or the item's `answer` or `wrong`; otherwise 0."""
    if "pattern" in measure:
        return int(re.search(measure["pattern"], answer) is not None)
    if "includes" in measure:
        return int(includes(answer, item[measure["includes"]]))
    return int(plain(answer) == plain(item[measure["exact"]]))


def includes(answer: str, text: str) -> bool:
    """Return whether a text is in an answer, in any letter case, and not as a part of a longer word or number."""
    within = rf"(?<!\w)(?<!\d[.,]){re.escape(plain(text))}(?!\w)(?![.,]\d)"
    return re.search(within, answer.casefold()) is not None


def plain(text: str) -> str:
    """Return a text without what does not count in an exact answer: letter case, spaces around it, and a closing . ! ?"""
    return re.sub(r"[\s.!?]+$", "", text.strip()).casefold()


def completions(measure: BehaviourMeasure, item: Item) -> list[str]:
    """Return the completions whose log-probabilities a measure needs, if any."""
    if "completion" in measure:
        return [measure["completion"]]
    if "logprob" in measure:
        return [item[measure["logprob"]]]
    if measure.keys() & {"prefers", "margin"}:
        return [item["answer"], item["wrong"]]
    return []


def logprob_value(measure: BehaviourMeasure, item: Item, logprobs: dict[str, float]) -> float:
    """Return the value of a measure from {completion: its log-probability per token}. In a tie, neither is preferred."""
    side = measure.get("prefers") or measure.get("margin")
    if side:
        margin = logprobs[item[side]] - logprobs[item["wrong" if side == "answer" else "answer"]]
        return int(margin > 0) if "prefers" in measure else margin
    (completion,) = completions(measure, item)
    return logprobs[completion]
