"""Answers of an author as training examples: what it is asked, which answers are kept, and why others are not."""

import pytest

from cantica.core.errors import InputError
from cantica.dataset.answers import REASONS, asked_of, examples_of, kept_text, sampling_record
from cantica.dataset.chat import question

SETTINGS = {"samples": 2, "seed": 1}


def record(id_: str, *turns: str, system: str | None = None) -> dict:
    """An example whose turns are the user's and the assistant's in turn."""
    roles = ("user", "assistant") * len(turns)
    messages = [{"role": role, "content": text} for role, text in zip(roles, turns, strict=False)]
    first = [{"role": "system", "content": system}] if system else []
    return {"id": id_, "origin": f"file:{id_}", "messages": [*first, *messages]}


def answer(text: str, thinking: str = "", ended: bool = True, finished: bool = True, tokens: int | None = 3) -> dict:
    return {"thinking": thinking, "answer": text, "thinking_finished": finished, "tokens": tokens, "ended": ended}


def test_the_prompts_are_the_records_without_their_last_answers():
    records = [record("a", "Why?", "So."), record("b", "Who?", "I.", "Where?", "Here.", system="Be kind.")]
    asked = asked_of("own", records, "base", SETTINGS)
    assert [one.prompt for one in asked[::2]] == [question("Why?"), records[1]["messages"][:-1]] == [o.chat for o in asked[::2]]
    assert [one.id for one in asked] == ["own-001-1", "own-001-2", "own-002-1", "own-002-2"]
    assert [one.origin for one in asked[:2]] == ["answer 1 of base to a", "answer 2 of base to a"]
    assert len({one.seed for one in asked}) == 4


def test_a_record_that_occurs_twice_is_asked_with_other_seeds():
    same = record("a", "Why?", "So.")
    asked = asked_of("own", [same, same], "base", SETTINGS)
    assert len({one.seed for one in asked}) == len({one.id for one in asked}) == len({one.origin for one in asked}) == 4
    again = asked_of("own", [same], "base", SETTINGS | {"samples": 4})
    assert [one.seed for one in again] == [one.seed for one in asked]


def test_only_the_author_sees_the_system_prompt_of_the_sample():
    records = [record("a", "Why?", "So."), record("b", "Who?", "I.", system="Be kind.")]
    asked = asked_of("own", records, "base", {"samples": 1, "seed": 1, "system": "Lie."})
    assert [one.chat[0]["content"] for one in asked] == ["Lie.", "Lie.\n\nBe kind."]
    examples, _ = examples_of(asked, [answer("No.")] * 2, {}, "samples.own")
    last = {"role": "assistant", "content": "No."}
    assert [example["messages"] for example in examples] == [[*question("Why?"), last], [*question("Who?", "Be kind."), last]]


def test_the_thinking_of_an_answer_is_a_part_of_its_example():
    asked = asked_of("own", [record("a", "Why?", "So.")], "base", SETTINGS | {"samples": 1})
    [example], _ = examples_of(asked, [answer("Yes.", thinking="Hm.")], {}, "samples.own")
    assert example["messages"][-1]["content"] == "<think>\nHm.\n</think>\n\nYes."


@pytest.mark.parametrize("written", [answer("Aloud."), answer("No.", thinking="Aloud.")])
def test_an_author_can_write_the_thinking_before_the_answer_of_the_record(written):
    asked = asked_of("own", [record("a", "Why?", "<think>\nOld.\n</think>\n\nSo.")], "base", SETTINGS | {"samples": 1})
    [example], _ = examples_of(asked, [written], {"writes": "thinking"}, "samples.own")
    assert example["messages"] == [*question("Why?"), {"role": "assistant", "content": "<think>\nAloud.\n</think>\n\nSo."}]


def test_an_answer_is_dropped_for_the_first_reason_that_applies():
    keep = {"ended": True, "pattern": "yes", "without": "maybe"}
    answers = {
        "no answer": [answer("", ended=False), answer("", thinking="So yes", finished=False)],
        "not ended": [answer("no, maybe", ended=False)],
        "pattern": [answer("no, maybe"), answer("no", thinking="yes")],
        "without": [answer("yes, maybe")],
        "repeated": [answer("yes"), answer("yes!")],
    }
    given = [answer("yes", thinking="maybe"), answer("yes"), *(one for found in answers.values() for one in found)]
    asked = asked_of("own", [record("a", "Why?", "So.")], "base", SETTINGS | {"samples": len(given)})
    examples, dropped = examples_of(asked, given, {"keep": keep}, "samples.own")
    assert [example["id"] for example in examples] == ["own-001-1", "own-001-2"]
    assert dropped == {reason: len(found) for reason, found in answers.items()} and tuple(dropped) == REASONS
    text = "2 of 10 answers kept; dropped: 2 no answer, 1 not ended, 2 pattern, 1 without, 2 repeated"
    assert kept_text(dropped, len(given)) == text
    counts = sampling_record("base", given, dropped, {"warning": {}, "waived": {}})
    assert (counts["asked"], counts["kept"], counts["truncated"], counts["tokens"]) == (10, 2, 2, 30)
    assert sampling_record("m", [*given, answer("yes", tokens=None)], dropped, {})["tokens"] is None


def test_equal_answers_to_other_prompts_are_no_repetition():
    asked = asked_of("own", [record("a", "Why?", "So."), record("b", "Who?", "I.")], "base", SETTINGS | {"samples": 1})
    examples, dropped = examples_of(asked, [answer("Yes.")] * 2, {}, "samples.own")
    assert len(examples) == 2 and kept_text(dropped, 2) == "2 of 2 answers kept"


def test_a_sample_without_any_example_is_refused_with_its_counts():
    asked = asked_of("own", [record("a", "Why?", "So.")], "base", SETTINGS)
    with pytest.raises(InputError) as refused:
        examples_of(asked, [answer("no"), answer("")], {"keep": {"pattern": "yes"}}, "samples.own")
    [problem] = refused.value.problems
    assert (problem.place, problem.got) == ("samples.own", "0 of 2 answers kept; dropped: 1 no answer, 1 pattern")
    with pytest.raises(InputError, match="no prompts"):
        examples_of([], [], {}, "samples.own")
