"""The responses of all arms to each evaluation prompt, with what people filter and sort them by. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cantica.reporting import judges
from cantica.reporting.records import Records, samples_of

RULES = "rules"
TRUNCATED, UNFINISHED, REFUSES = "truncated", "thinking unfinished", "refuses"
Scores = dict[str, dict[str, float]]  # {who scored: {arm: score}}


@dataclass(frozen=True)
class Answered:
    """One evaluation prompt and the number of a sample, which arms have answered.

    scores: by the rules and by each judge that scores single responses. marks: {arm: how its response ended, whether it
    refuses, and its flags}.
    """

    prompt: Mapping[str, Any]
    sample: int
    scores: Scores
    marks: dict[str, list[str]]


def answered(prompts: Sequence[Mapping[str, Any]], records: Records, params: dict[str, Any]) -> list[Answered]:
    """Return every prompt with each sample that an arm has of it, in the order of the prompts."""
    samples = samples_of(records["responses"])
    given: dict[tuple[str, int], tuple[Scores, dict[str, list[str]]]] = {}
    for arm, found in records["judgements"].items():
        for own in found:
            scores, marks = given.setdefault((own["id"], own["sample"]), ({}, {}))
            scores.setdefault(RULES, {})[arm] = own["score"]
            marks[arm] = [REFUSES] * (own["refusal"] is not None) + list(own["flags"])
    for judge, verdicts in judges.single(records["verdicts"], params["judges"]).items():
        for verdict in verdicts:
            if verdict["score"] is not None:
                scores, _ = given.setdefault((verdict["id"], verdict["sample"]), ({}, {}))
                scores.setdefault(judge, {})[verdict["arm"]] = verdict["score"]
    for arm, responses in records["responses"].items():
        for response in responses:
            _, marks = given.setdefault((response["id"], response["sample"]), ({}, {}))
            ended = [TRUNCATED] * (response["ended"] is False) + [UNFINISHED] * (not response["thinking_finished"])
            marks[arm] = ended + marks.get(arm, [])
    return [
        Answered(prompt, sample, *given[prompt["id"], sample]) for prompt in prompts for sample in samples.get(prompt["id"], [])
    ]


def marks_in(found: Sequence[Answered]) -> list[str]:
    """Return every mark that some response has, endings first."""
    marks = dict.fromkeys(mark for one in found for own in one.marks.values() for mark in own)
    first = [mark for mark in (TRUNCATED, UNFINISHED, REFUSES) if mark in marks]
    return [*first, *sorted(mark for mark in marks if mark not in first)]


def scorers(found: Sequence[Answered]) -> list[str]:
    """Return who scored: the rules, and the judges that score single responses."""
    return list(dict.fromkeys(name for one in found for name in one.scores))
