"""How answers ended: truncated at the token limit, with unfinished thinking, or with the lowest score. Pure.

If the answers of two arms were truncated at different rates, their scores may differ for that alone and cannot be compared.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from cantica.core.records import CapabilityScore, Judgement, ModelVerdict, Response
from cantica.reporting.inference import Unequal

# The shares of truncated or unfinished answers of two arms may differ by this much. Beyond it their scores are not compared:
# a test of significance would let pass what few answers cannot show.
TOLERANCE = 0.05


@dataclass(frozen=True)
class Ending:
    """How one answer ended. None: not known, or without meaning for the measure.

    id: of the item. truncated: it reached the token limit. unfinished: its thinking never ended, so there is no answer.
    at_floor: it has the lowest score.
    """

    id: str
    truncated: bool | None = None
    unfinished: bool | None = None
    at_floor: bool | None = None


COUNTED = ("truncated", "unfinished", "at_floor")


def endings(answers: Iterable[Response | CapabilityScore]) -> list[Ending]:
    """The endings of answers, whatever they score."""
    return [Ending(a["id"], not a["ended"], not a["thinking_finished"]) for a in answers]


def scored_endings(answers: list[Response], scores: Iterable[Judgement | ModelVerdict]) -> list[Ending]:
    """The endings of the answers that have a score."""
    by_answer = {(a["id"], a["sample"]): ending for a, ending in zip(answers, endings(answers), strict=True)}
    known = {(s["id"], s["sample"]): s["score"] for s in scores if s["score"] is not None}
    return [replace(by_answer[answer], at_floor=score == 0) for answer, score in known.items() if answer in by_answer]


def of_items(endings: Iterable[Ending], items: Iterable[str]) -> list[Ending]:
    """The endings of the answers to some items."""
    chosen = set(items)
    return [ending for ending in endings if ending.id in chosen]


def counts(endings: list[Ending]) -> dict[str, int]:
    """How many answers are truncated, unfinished and at the floor, for each of these that is known of any answer."""
    found = {kind: [value for ending in endings if (value := getattr(ending, kind)) is not None] for kind in COUNTED}
    return {kind: sum(values) for kind, values in found.items() if values}


def unequal_endings(sides: dict[str, list[Ending]]) -> Unequal:
    """Where the answers of two sides ended differently: {"truncated" or "unfinished": {side: count}, "of": {side: answers}}.

    A kind is listed when its shares differ by more than TOLERANCE; {} when none does. Scores at the floor are not compared
    so: that there are more of them may be the result.
    """
    counted = {side: counts(endings) for side, endings in sides.items()}
    answers = {side: len(endings) for side, endings in sides.items()}
    found = {}
    for kind in ("truncated", "unfinished"):
        if all(kind in counted[side] for side in sides):
            shares = [counted[side][kind] / answers[side] for side in sides]
            if max(shares) - min(shares) > TOLERANCE + 1e-9:
                found[kind] = {side: counted[side][kind] for side in sides}
    return found | ({"of": answers} if found else {})
