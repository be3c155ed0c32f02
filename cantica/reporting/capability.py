"""Measures of capability: accuracies and the log-likelihood of plain prose. Pure."""

from cantica.core.records import CapabilityScore
from cantica.reporting.endings import endings
from cantica.reporting.measures import Measure, items

ACCURACIES = {
    "multiple_choice": "multiple-choice accuracy (chance 25%)",
    "instructions": "instructions followed",
    "arithmetic": "arithmetic accuracy",
}


def capability_measures(scores: dict[str, list[CapabilityScore]]) -> list[Measure]:
    """Return the measures: the accuracy for each kind of item, and the log-likelihood of prose."""

    def of_kind(kind: str) -> dict[str, list[CapabilityScore]]:
        return {arm: [score for score in found if score["kind"] == kind] for arm, found in scores.items()}

    def measure(kind: str, title: str) -> Measure:
        own = of_kind(kind)
        tables = {arm: items(found, lambda s: s["score"]) for arm, found in own.items()}
        # A multiple-choice item is scored by log-probabilities: it has no answer that could be truncated.
        ended = {arm: endings([s for s in found if s.get("ended") is not None]) for arm, found in own.items()}
        return Measure(f"capability.{kind}", title, tables, share=True, endings=ended)

    prose = {arm: items(found, lambda s: s["score"]) for arm, found in of_kind("log_likelihood").items()}
    return [
        *(measure(kind, title) for kind, title in ACCURACIES.items()),
        Measure("capability.prose_nats", "log-likelihood of plain prose, nats per token", prose, digits=3),
    ]
