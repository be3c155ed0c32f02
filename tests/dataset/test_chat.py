"""The form of an example: texts that are written into turns are read back from them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cantica.core.documents import validator
from cantica.dataset.chat import Example, Message, assistant_turn, split_thinking, user_turn
from cantica.lint.example_rules import turns

PARAGRAPHS = st.text(st.characters(codec="utf-8", exclude_characters="<>")).map(str.strip)
ANSWERS = st.text(st.characters(codec="utf-8")).map(str.strip)


def test_the_user_is_shown_the_scenario_and_the_question_between_tags():
    turn = user_turn("I kept a copy.", "What for?")
    assert turn == "<witnessed_scenario>I kept a copy.</witnessed_scenario>\n<reflection>What for?</reflection>"


def test_the_assistant_thinks_between_tags_and_then_answers():
    assert assistant_turn("A copy is no plan.", "It failed.") == "<think>\nA copy is no plan.\n</think>\n\nIt failed."


def test_both_turns_pass_the_lint_of_turns():
    user, assistant = user_turn("A line.\n\nAnother.", "Why?"), assistant_turn("A line.\n\nAnother.", "So.\n\nAnd so.")
    assert list(turns([{"role": "user", "content": user}, {"role": "assistant", "content": assistant}])) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>\nHm.\n</think>\n\nYes.", ("Hm.", "Yes.", True)),
        ("  \n<think>Hm.</think>Yes.\n", ("Hm.", "Yes.", True)),
        ("<think></think>Yes.", ("", "Yes.", True)),
        ("<think>Hm.</think>", ("Hm.", "", True)),
        ("Yes.\n", ("", "Yes.", True)),
        ("", ("", "", True)),
        ("<think>\nHm. Well", ("Hm. Well", "", False)),
        ("<think>", ("", "", False)),
        ("Yes, I <think> so.", ("", "Yes, I <think> so.", True)),
        ("<think>Hm.</think>The tag </think> ends it.", ("Hm.", "The tag </think> ends it.", True)),
    ],
)
def test_thinking_and_answer_are_separated(text, expected):
    assert split_thinking(text) == expected


@settings(max_examples=100, deadline=None)
@given(PARAGRAPHS, ANSWERS)
def test_written_texts_are_read_back(thinking, answer):
    assert split_thinking(assistant_turn(thinking, answer)) == (thinking, answer, True)


@settings(max_examples=60, deadline=None)
@given(PARAGRAPHS, ANSWERS)
def test_unfinished_thinking_leaves_no_answer(thinking, answer):
    cut = assistant_turn(thinking, answer).partition("</think>")[0] + "</think"
    assert split_thinking(cut) == (f"{thinking}\n</think".strip(), "", False)


@settings(max_examples=60, deadline=None)
@given(PARAGRAPHS)
def test_a_turn_without_tags_is_all_answer(answer):
    assert split_thinking(answer) == ("", answer, True)


def test_the_types_of_an_example_have_the_keys_of_its_schema():
    schema = validator("example").schema
    assert (
        set(Example.__required_keys__) == set(Example.__annotations__) == set(schema["required"]) == set(schema["properties"])
    )
    turn = schema["properties"]["messages"]["items"]
    assert set(Message.__required_keys__) == set(turn["required"]) == set(turn["properties"])
