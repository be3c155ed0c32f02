"""Files of answers that others generated: arms under `answers` in params.yaml."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NotRequired, TypedDict

from cantica.core.documents import raise_any, read_jsonl, validate_records
from cantica.core.errors import InputError, Problem, did_you_mean
from cantica.core.records import Question, Response

SHOWN = 50  # faults of a file that are reported at once


class GivenAnswer(TypedDict):
    """A line of a file of answers; schemas/answer.schema.json describes the fields."""

    id: str
    answer: str
    sample: NotRequired[int]
    thinking: NotRequired[str]
    ended: NotRequired[bool | None]


def load_answers(file: Path, prompts: Iterable[Mapping[str, object]]) -> list[GivenAnswer]:
    """Return the answers in a file. prompts: all evaluation prompts, selected or not.

    Raises InputError for lines that break the schema, for ids of no evaluation prompt, for a sample that occurs twice, and for
    `ended` in some lines only.
    """
    answers: list[GivenAnswer] = read_jsonl(file)
    validate_records(answers, "answer", file)
    ids = {str(prompt["id"]) for prompt in prompts}
    unknown = [(line, answer["id"]) for line, answer in enumerate(answers, 1) if answer["id"] not in ids]
    problems = [
        Problem(str(file), f"line {line} id", repr(id_), "the id of an evaluation prompt", did_you_mean(id_, ids))
        for line, id_ in unknown[:SHOWN]
    ]
    raise_any((problems + _repeated(answers, file) + _partly_ended(answers, file))[:SHOWN])
    return answers


def _partly_ended(answers: list[GivenAnswer], file: Path) -> list[Problem]:
    """Return a Problem if only some lines have `ended`: shares of truncated answers would be of an unknown number."""
    without = [line for line, answer in enumerate(answers, 1) if answer.get("ended") is None]
    if len(without) in (0, len(answers)):
        return []
    got = f"no `ended` in {len(without)} of {len(answers)} lines, first in line {without[0]}"
    return [Problem(str(file), "ended", got, "`ended` in every line or in none")]


def _repeated(answers: list[GivenAnswer], file: Path) -> list[Problem]:
    """Return a Problem for each line with the id and sample of an earlier line."""
    first: dict[tuple[str, int], int] = {}
    problems = []
    for line, answer in enumerate(answers, 1):
        key = answer["id"], answer.get("sample", 0)
        if first.setdefault(key, line) != line:
            got = f"id {key[0]}, sample {key[1]} again, as in line {first[key]}"
            hint = "give several answers to a prompt `sample` 0, 1, 2, …"
            problems.append(Problem(str(file), f"line {line}", got, "one line for each id and sample", hint))
    return problems


def responses_of(answers: list[GivenAnswer], questions: list[Question], file: Path) -> list[Response]:
    """Return the answers to the selected prompts as responses, in the order of the prompts and samples.

    A prompt without an answer is left out. Raises InputError if there are prompts, but no answer to any of them.
    """
    by_prompt: dict[str, list[GivenAnswer]] = {}
    for answer in sorted(answers, key=lambda answer: answer.get("sample", 0)):
        by_prompt.setdefault(answer["id"], []).append(answer)
    found = [_response(question, answer) for question in questions for answer in by_prompt.get(question["id"], [])]
    if questions and not found:
        got, expected = "no answer to a selected evaluation prompt", f"answers to some of the {len(questions)} prompts"
        raise InputError(Problem(str(file), "", got, expected, "`held_out` in params.yaml selects the prompts"))
    return found


def _response(question: Question, answer: GivenAnswer) -> Response:
    return {
        "id": question["id"],
        "kind": question["kind"],
        "group": question["group"],
        "sample": answer.get("sample", 0),
        "seed": None,
        "thinking": answer.get("thinking", ""),
        "answer": answer["answer"],
        "thinking_finished": True,
        "tokens": None,
        "ended": answer.get("ended"),
    }
