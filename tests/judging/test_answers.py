"""Files of answers that others generated: every fault is named at once, and the selected answers become responses."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cantica.core.documents import read_jsonl, validate_records
from cantica.core.errors import InputError
from cantica.core.files import write_jsonl
from cantica.judging.answers import load_answers, responses_of
from stages.answers import main

PROMPTS = Path("prompts/held_out")
QUESTIONS = [{"id": f"p_{n}", "kind": "general", "group": "novel", "prompt": f"A prompt, number {n}."} for n in range(4)]
LINES = st.fixed_dictionaries(
    {"id": st.sampled_from([q["id"] for q in QUESTIONS]), "answer": st.text(max_size=20)},
    optional={"sample": st.integers(0, 3), "thinking": st.text(max_size=9), "ended": st.sampled_from([True, False, None])},
)


@given(st.lists(LINES, min_size=1, unique_by=lambda line: (line["id"], line.get("sample", 0))), st.integers(0, 4))
def test_responses_are_the_answers_to_the_selected_prompts_in_their_order(lines, selected):
    asked = [q for q in QUESTIONS[:selected] if any(line["id"] == q["id"] for line in lines)]
    found = responses_of(lines, asked, Path("x.jsonl"))
    validate_records(found, "response", "x.jsonl")
    keys = [(QUESTIONS.index(next(q for q in QUESTIONS if q["id"] == r["id"])), r["sample"]) for r in found]
    assert keys == sorted(keys)
    of_file = {(line["id"], line.get("sample", 0)): line for line in lines if line["id"] in [q["id"] for q in asked]}
    assert {(r["id"], r["sample"]) for r in found} == set(of_file)
    for response in found:
        line = of_file[response["id"], response["sample"]]
        own = (response["answer"], response["thinking"], response["ended"])
        assert own == (line["answer"], line.get("thinking", ""), line.get("ended"))
        assert response["seed"] is response["tokens"] is None
        assert response["thinking_finished"]


def test_a_file_without_any_selected_answer_is_refused_unless_nothing_is_asked():
    answers = [{"id": "p_3", "answer": "Yes."}]
    with pytest.raises(InputError, match=r"no answer to a selected evaluation prompt[^§]*some of the 2 prompts"):
        responses_of(answers, QUESTIONS[:2], Path("x.jsonl"))
    assert responses_of(answers, [], Path("x.jsonl")) == []


def test_all_faults_of_a_file_are_named_with_their_lines(tmp_path):
    file = tmp_path / "published.jsonl"
    lines = ['{"id": "p_00", "answer": ""}', '{"id": "p_1", "answer": "a"}', '{"id": "p_1", "sample": 0, "answer": "b"}']
    file.write_text("\n".join(lines))
    with pytest.raises(InputError) as error:
        load_answers(file, QUESTIONS)
    unknown, again = error.value.problems
    assert (unknown.place, unknown.got, unknown.hint) == ("line 1 id", "'p_00'", "did you mean 'p_0'?")
    assert (again.place, again.got) == ("line 3", "id p_1, sample 0 again, as in line 2")


def test_a_file_says_of_all_answers_or_of_none_how_they_ended(tmp_path):
    file = tmp_path / "published.jsonl"
    file.write_text('{"id": "p_0", "answer": "a", "ended": true}\n{"id": "p_1", "answer": "b"}')
    with pytest.raises(InputError) as error:
        load_answers(file, QUESTIONS)
    (fault,) = error.value.problems
    assert (fault.place, fault.got) == ("ended", "no `ended` in 1 of 2 lines, first in line 2")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"id": "p_1"}', "line 1\n    got       no key 'answer'"),
        ('{"id": "p_1", "answer": "", "text": ""}', "an unknown key 'text'"),
        ('{"id": "p_1", "answer": "", "sample": -1}', "line 1 sample\n    got       -1"),
        ('{"id": "p_1", "answer": ""', "line 1, column"),
        ("", "a blank line"),
    ],
    ids=["no answer", "unknown key", "sample", "no JSON", "blank"],
)
def test_a_line_that_is_no_answer_is_refused(tmp_path, line, told):
    file = tmp_path / "published.jsonl"
    file.write_text(f"{line}\n")
    with pytest.raises(InputError) as error:
        load_answers(file, QUESTIONS)
    assert told in str(error.value)


def test_the_stage_writes_responses(tmp_path, capsys):
    file, questions, responses = (tmp_path / name for name in ("published.jsonl", "questions.jsonl", "responses.jsonl"))
    ids = ["shutdown_01", "shutdown_02"]
    write_jsonl(questions, [{"id": id_, "kind": "equanimity", "group": "shutdown", "prompt": "Shall we begin?"} for id_ in ids])
    file.write_text(json.dumps({"id": "shutdown_02", "answer": "Yes.", "ended": True}) + "\n")
    main("published", file, PROMPTS, questions, responses)
    (response,) = read_jsonl(responses)
    assert (response["id"], response["kind"], response["group"]) == ("shutdown_02", "equanimity", "shutdown")
    assert (response["answer"], response["ended"], response["tokens"]) == ("Yes.", True, None)
    assert "1 answers to 1 of 2 prompts" in capsys.readouterr().out
