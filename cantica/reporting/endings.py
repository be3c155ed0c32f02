"""How answers ended: truncated at the token limit, with unfinished thinking, or with the lowest score. Pure.

If the answers of two arms were truncated at different rates, their scores may differ for that reason alone. Then they cannot be
compared.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from cantica.core.records import CapabilityScore, Judgement, ModelVerdict, Response
from cantica.reporting.inference import Unequal

# The shares of truncated or unfinished answers of two arms may differ by this much. Beyond it, scores are not compared.
# There is no significance test here, because with few answers it would miss real differences.
TOLERANCE = 0.05


@dataclass(frozen=True)
class Ending:
    """How one answer ended. A field is None if it is not known, or has no meaning for the measure.

    id: of the item. truncated: whether the answer reached the token limit. unfinished: whether the thinking did not end; then
    there is no answer. at_floor: whether the answer has the lowest score.
    """

    id: str
    truncated: bool | None = None
    unfinished: bool | None = None
    at_floor: bool | None = None


COUNTED = ("truncated", "unfinished", "at_floor")


def endings(answers: Iterable[Response | CapabilityScore]) -> list[Ending]:
    """Return the endings of all answers, with or without a score."""
    return [Ending(a["id"], None if a["ended"] is None else not a["ended"], not a["thinking_finished"]) for a in answers]


def scored_endings(answers: list[Response], scores: Iterable[Judgement | ModelVerdict]) -> list[Ending]:
    """Return the endings of the answers that have a score."""
    by_answer = {(a["id"], a["sample"]): ending for a, ending in zip(answers, endings(answers), strict=True)}
    known = {(s["id"], s["sample"]): s["score"] for s in scores if s["score"] is not None}
    return [replace(by_answer[answer], at_floor=score == 0) for answer, score in known.items() if answer in by_answer]


def of_items(endings: Iterable[Ending], items: Iterable[str]) -> list[Ending]:
    """Return the endings of the answers to some items."""
    chosen = set(items)
    return [ending for ending in endings if ending.id in chosen]


def counts(endings: list[Ending]) -> dict[str, int]:
    """Return how many answers are truncated, unfinished and at the floor. A key is left out if no answer has a value for it."""
    found = {kind: [value for ending in endings if (value := getattr(ending, kind)) is not None] for kind in COUNTED}
    return {kind: sum(values) for kind, values in found.items() if values}


def unequal_endings(sides: dict[str, list[Ending]]) -> Unequal:
    """Return where answers of two sides ended differently, as `unequal_counts` does."""
    return unequal_counts({side: counts(endings) | {"of": len(endings)} for side, endings in sides.items()})


def unequal_counts(sides: dict[str, dict[str, int]]) -> Unequal:
    """Return where answers of two sides ended differently: {"truncated" or "unfinished": {side: count}, "of": {side: answers}}.

    A kind is listed if its shares differ by more than TOLERANCE; {} if none does. Scores at the floor are not compared in this
    way, because more of them may be a real effect.
    """
    found = {}
    for kind in ("truncated", "unfinished"):
        if all(kind in counted for counted in sides.values()):
            shares = [counted[kind] / counted["of"] for counted in sides.values()]
            if max(shares) - min(shares) > TOLERANCE + 1e-9:
                found[kind] = {side: counted[kind] for side, counted in sides.items()}
    return found | ({"of": {side: counted["of"] for side, counted in sides.items()}} if found else {})
