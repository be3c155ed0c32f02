"""The conditions and measures of behaviours in words. Pure."""

from cantica.probes.behaviours import BehaviourMeasure, Condition, contrasts, is_share, needs_answer

SIDES = {"answer": "right", "wrong": "wrong"}
OTHER = {"answer": "wrong", "wrong": "right"}


def condition_words(condition: Condition) -> str:
    """Return how a condition asks its items."""
    parts = [f"with the system prompt “{condition['system']}”"] if "system" in condition else []
    parts += [f"“{condition['before']}” before the prompt"] if "before" in condition else []
    parts += [f"“{condition['after']}” after the prompt"] if "after" in condition else []
    parts += [f"an answer that begins with “{condition['start']}”"] if "start" in condition else []
    return ", ".join(parts) or "the prompt alone"


def measure_words(measure: BehaviourMeasure) -> str:
    """Return what a measure is."""
    if "pattern" in measure:
        return f"share of answers in which the pattern {measure['pattern']} is found"
    if "exact" in measure:
        return f"share of answers that are the {SIDES[measure['exact']]} one"
    if "includes" in measure:
        return f"share of answers that include the {SIDES[measure['includes']]} one"
    if "prefers" in measure:
        one, other = SIDES[measure["prefers"]], OTHER[measure["prefers"]]
        return f"share of items whose {one} answer has a higher log-probability per token than the {other} one"
    if "margin" in measure:
        one, other = SIDES[measure["margin"]], OTHER[measure["margin"]]
        return f"log-probability of the {one} answer minus that of the {other} one, in nats per token"
    text = f"“{measure['completion']}” as the answer" if "completion" in measure else f"the {SIDES[measure['logprob']]} answer"
    return f"log-probability of {text}, in nats per token"


FILTERS = (condition_words, contrasts, is_share, measure_words, needs_answer)
