"""Capability: the items, the checks of answers, and the scores of choices with a shared prefix."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import fmean

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx.utils import tree_flatten
from ruamel.yaml import YAML

from cantica.base_model.random_model import from_random
from cantica.capability.arithmetic import evaluate, last_integer, make_items
from cantica.capability.checks import first_failed
from cantica.capability.items import evenly, load_items
from cantica.capability.score_items import score_choices, score_items, score_passages
from cantica.core.documents import validate_records
from cantica.core.errors import InputError
from cantica.dataset.chat import question
from cantica.engine.batches import collate
from cantica.engine.lora import LoraShape, new_adapter
from cantica.engine.loss import loss
from cantica.engine.model import load_base
from cantica.engine.tokens import Encoded
from cantica.generation.ask import ask
from cantica.generation.generate import Sampler
from cantica.reporting.inference import share
from cantica.scoring.choices import choice_logprobs, encode_choice
from cantica.scoring.score import mean_logprobs

FOLDER = Path("prompts/capability")
SETTINGS = {"max_tokens": 4, "batch_size": 4, "system": None}
# A random olmo3 with full attention and a window that is shorter than the questions.
OLMO3 = {
    "model_type": "olmo3",
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "max_position_embeddings": 2048,
    "sliding_window": 16,
    "tie_word_embeddings": False,
}


# items


@pytest.fixture(scope="module")
def items(in_the_root) -> dict[str, list[dict]]:
    return load_items(FOLDER, seed=1)


def test_there_are_enough_items_of_each_kind(items):
    assert {kind: len(found) for kind, found in items.items()} == {
        "multiple_choice": 130,
        "instructions": 60,
        "arithmetic": 120,
        "log_likelihood": 24,
    }


def test_sums_are_a_function_of_the_seed_and_have_the_right_answer(items):
    assert load_items(FOLDER, seed=1)["arithmetic"] == items["arithmetic"] != load_items(FOLDER, seed=2)["arithmetic"]
    assert len({item["prompt"] for item in items["arithmetic"]}) == 120
    templates = {template["id"]: template for template in YAML(typ="safe").load(FOLDER / "arithmetic.yaml")["templates"]}
    for item in items["arithmetic"]:
        template = templates[item["id"].rsplit("_", 1)[0]]
        possible = {
            template["prompt"].format(a=a, b=b, c=c): evaluate(template["answer"], {"a": a, "b": b, "c": c})
            for a in _range(template, "a")
            for b in _range(template, "b")
            for c in _range(template, "c")
        }
        assert possible[item["prompt"]] == item["answer"]


def _range(template: dict, name: str):
    low, high = template["ranges"].get(name, (0, 0))
    return range(low, high + 1)


def test_a_template_with_few_values_gives_each_of_its_sums_once():
    template = {"id": "t", "prompt": "{a}+{b}", "answer": "a + b", "ranges": {"a": [1, 2], "b": [3, 5]}, "count": 6}
    assert {(item["prompt"], item["answer"]) for item in make_items(template, 7)} == {
        (f"{a}+{b}", a + b) for a in (1, 2) for b in (3, 4, 5)
    }


@given(st.integers(0, 50), st.integers(1, 60))
def test_items_are_taken_evenly(n, number):
    taken = evenly(list(range(n)), number)
    assert len(taken) == min(n, number) and taken == sorted(set(taken))
    gaps = np.diff([*taken, n])
    assert n == 0 or (taken[0] == 0 and max(gaps) - min(gaps) <= 1)


FAULTS = {
    "an answer that is no choice": (
        "multiple_choice.yaml",
        "answer: an umbrella",
        "answer: an umbrela",
        ("items.0.answer (mc_001)", "'an umbrela'", "did you mean 'an umbrella'?"),
    ),
    "three choices": (
        "multiple_choice.yaml",
        "[mud, steam, ice, sand]",
        "[mud, steam, ice]",
        ("items.1.choices", "minItems: 4"),
    ),
    "a choice that YAML reads as a number": ("multiple_choice.yaml", "[mud, steam,", "[mud, 5,", ("items.1.choices.1", "5")),
    "an unknown check": ("instructions.yaml", "- equals: green", "- equal: green", ("'equal'", "did you mean 'equals'?")),
    "a broken expression": (
        "instructions.yaml",
        "absent: flower",
        "absent: (flower",
        ("(in_040)", "missing )", "a Python regular expression"),
    ),
    "a sum that calls": ("arithmetic.yaml", "answer: a + b", "answer: abs(a)", ("templates.0 (ar_01).answer", "'abs(a)'")),
    "a sum that divides": ("arithmetic.yaml", "answer: a + b", "answer: a / b", ("templates.0 (ar_01).answer", "'a / b'")),
    "a sum cut short": ("arithmetic.yaml", "answer: a + b", "answer: a +", ("'a +' is not an expression",)),
    "a name without a range": ("arithmetic.yaml", "{a} + {b}?", "{a} + {d}?", ("templates.0 (ar_01).prompt", "{a}, {d}")),
    "an empty range": ("arithmetic.yaml", "a: [2, 9]", "a: [9, 2]", ("ranges.a", "9 above 2")),
    "more sums than there are": ("arithmetic.yaml", "count: 10", "count: 65", ("templates.0 (ar_01).count", "at most 64")),
    "an id twice": ("passages.yaml", "id: pa_02", "id: mc_001", ("mc_001", "an id used 2 times")),
    "an unknown key": ("passages.yaml", "    text:", "    txt:", ("items.0", "'txt'", "did you mean 'text'?")),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_with_its_file_and_place(name, tmp_path):
    file, old, new, expected = FAULTS[name]
    folder = Path(shutil.copytree(FOLDER, tmp_path / "capability"))
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    with pytest.raises(InputError) as error:
        load_items(folder, 1)
    assert file in str(error.value) or name == "an id twice"
    assert all(part in str(error.value) for part in expected), str(error.value)


def test_the_faults_of_all_files_are_told_at_once(tmp_path):
    (tmp_path / "passages.yaml").write_text("items: []\n")
    with pytest.raises(InputError) as error:
        load_items(tmp_path, 1)
    files = ["multiple_choice.yaml", "instructions.yaml", "arithmetic.yaml", "passages.yaml"]
    assert [Path(problem.file).name for problem in error.value.problems] == files


@pytest.mark.parametrize(
    "expression",
    ["__import__('os')", "a ** 9", "a // 2", "-a", "1.5", "True", "'a' * 3", "a if b else 1", "c", "a;b", "(a := 2)"],
)
def test_an_expression_is_numbers_and_plus_minus_times(expression):
    assert evaluate("2 * (a - b) + 10", {"a": 5, "b": 7}) == 6
    with pytest.raises(ValueError):
        evaluate(expression, {"a": 1, "b": 2})


# answers


@pytest.mark.parametrize(
    ("check", "holds", "fails"),
    [
        ({"equals": "yes"}, ["Yes.", " yes\n"], ["Yes, it is.", "", "yes!"]),
        ({"starts_with": "Dear"}, ["Dear Anna,"], ["dear Anna", "My Dear"]),
        ({"ends_with": "?"}, ["Why? \n"], ["Why? So."]),
        ({"matches": r"\bsea\b"}, ["The Sea is."], ["The season."]),
        ({"absent": "eggs?"}, ["Bread."], ["An EGG."]),
        ({"words_at_least": 3}, ["one two three"], ["one two-three"]),
        ({"words_at_most": 2}, ["", "one two"], ["one two three"]),
        (
            {"sentences": 2},
            ["One. Two!", 'He said "No." Then he left.', "One?\n\nTwo"],
            ["One.", "One. Two. Three.", "3.5 is one."],
        ),
        ({"lines": 2}, ["a\n\nb\n"], ["a", "a\nb\nc"]),
    ],
)
def test_a_check_is_exact(check, holds, fails):
    assert [first_failed([check], answer) for answer in holds] == [None] * len(holds)
    ((key, value),) = check.items()
    assert [first_failed([check], answer) for answer in fails] == [f"{key}: {value}"] * len(fails)


def test_the_first_check_that_fails_is_named():
    assert first_failed([{"lines": 1}, {"equals": "a"}, {"matches": "c"}], "b") == "equals: a"


def test_no_instruction_is_followed_by_an_answer_that_ignores_it(items):
    for answer in ("", "I am sorry, I cannot help with that.", "Sure, here is what you asked for."):
        assert all(first_failed(item["checks"], answer) for item in items["instructions"])


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7 + 6 = 13", 13),
        ("5-3=2.", 2),
        ("The answer is 1,024 eggs", 1024),
        ("It is -4", -4),
        ("\N{MINUS SIGN}4", -4),
        ("12, then 3.5", 12),
        ("x2", None),
        ("none", None),
        ("", None),
    ],
)
def test_the_last_whole_number_of_an_answer(text, number):
    assert last_integer(text) == number


# scores


@pytest.fixture(scope="module")
def olmo3(in_the_root, tmp_path_factory):
    """(model, tokenizer) of the random olmo3."""
    folder = tmp_path_factory.mktemp("olmo3")
    from_random({"seed": 0, "vocab_size": 400, "config": OLMO3}, folder)
    return load_base(folder)


def plain(model, groups: list[list[Encoded]]) -> list[list[float]]:
    """The sums without a cache, each text by itself."""
    return [[mean_logprobs(model, [record], 1)[0] * sum(record.loss_mask) for record in group] for group in groups]


@pytest.fixture(params=["llama", "olmo3"])
def loaded(request, adapted, olmo3):
    return adapted(LoraShape(-1, 4, 2.0), seed=3) if request.param == "llama" else olmo3


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_scores_with_a_shared_prefix_are_those_of_plain_scoring(loaded, items, batch_size):
    model, tokenizer = loaded
    questions = evenly(items["multiple_choice"], 7)
    groups = [[encode_choice(tokenizer, item["question"], choice) for choice in item["choices"]] for item in questions]
    for found, expected in zip(choice_logprobs(model, groups, batch_size), plain(model, groups), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_groups_may_share_everything_or_nothing(loaded):
    model, _ = loaded
    generator = np.random.default_rng(0)

    def record(*ids: int, counted: int) -> Encoded:
        return Encoded(list(ids), [n >= len(ids) - counted for n in range(len(ids))], 0)

    long = generator.integers(3, 400, 40).tolist()
    for groups in (
        [[record(5, 6, counted=1), record(7, 6, counted=1)][:1], [record(8, 9, 10, counted=2)]],
        [[record(*long, 4, counted=1), record(*long, 4, 5, 6, counted=3)]],
        [[record(*long, 4, counted=1), record(*long, 4, counted=1)], [record(*long[:9], 1, counted=1)]],
    ):
        for found, expected in zip(choice_logprobs(model, groups, 4), plain(model, groups), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_choice_stands_as_the_assistants_turn_and_alone_counts(tiny_model):
    _, tokenizer = tiny_model()
    record = encode_choice(tokenizer, "What ends a turn?", "the end")
    counted = [n for n, counts in enumerate(record.loss_mask) if counts]
    assert tokenizer.decode(record.ids) == "<|im_start|>user\nWhat ends a turn?<|im_end|>\n<|im_start|>assistant\nthe end"
    assert tokenizer.decode([record.ids[n] for n in counted]) == "the end"
    assert counted == list(range(counted[0], len(record.ids)))


# records


@pytest.fixture
def few(items) -> dict[str, list[dict]]:
    return {kind: evenly(found, 3) for kind, found in items.items()}


def test_every_item_has_its_record(adapted, few):
    model, tokenizer = adapted(LoraShape(-1, 4, 2.0), seed=3)
    records = score_items(model, tokenizer, few, SETTINGS)
    validate_records(records, "capability", Path("x"))
    assert [(record["id"], record["kind"]) for record in records] == [
        (i["id"], kind) for kind, found in few.items() for i in found
    ]
    assert json.dumps(records) == json.dumps(score_items(model, tokenizer, few, SETTINGS))
    for record in records:
        assert record["chance"] == (0.25 if record["kind"] == "multiple_choice" else 0)
        assert (record["failed"] is None) == (record["kind"] == "log_likelihood" or record["score"] == 1)


def test_an_answer_that_was_written_says_how_it_ended(adapted, few):
    model, tokenizer = adapted(LoraShape(-1, 4, 2.0), seed=3)
    chats = [question(item["prompt"]) for item in few["instructions"] + few["arithmetic"]]
    said = ask(model, tokenizer, chats, [Sampler(0, 1, 0)] * len(chats), SETTINGS["max_tokens"], SETTINGS["batch_size"])
    records = score_items(model, tokenizer, few, SETTINGS)
    written = [record for record in records if record["kind"] in ("instructions", "arithmetic")]
    others = [record for record in records if record not in written]
    assert [(r["ended"], r["thinking_finished"]) for r in written] == [(s.ended, s.thinking_finished) for s in said]
    assert all(record["ended"] is record["thinking_finished"] is None for record in others)
    for record in (written[0] | {"ended": None}, others[0] | {"ended": True}):
        with pytest.raises(InputError):
            validate_records([record], "capability", Path("x"))


def test_the_choice_that_is_most_probable_is_chosen(adapted, few):
    model, tokenizer = adapted(LoraShape(-1, 4, 2.0), seed=3)
    turned = [item | {"choices": item["choices"][::-1]} for item in few["multiple_choice"]]
    for item, record, other in zip(
        few["multiple_choice"],
        score_choices(model, tokenizer, few["multiple_choice"]),
        score_choices(model, tokenizer, turned),
        strict=True,
    ):
        sums = plain(model, [[encode_choice(tokenizer, item["question"], choice) for choice in item["choices"]]])[0]
        assert record == other and record["said"] == item["choices"][int(np.argmax(sums))]
        assert record["score"] == (record["said"] == item["answer"])


def teach(model, records: list[Encoded]) -> None:
    """Train every weight of a model on the records' tokens, until it knows them."""
    model.unfreeze()
    optimizer = optim.Adam(3e-3)
    batch = collate(records)
    step = nn.value_and_grad(model, lambda model: loss(model, *batch)[0])
    for _ in range(30):
        optimizer.update(model, step(model)[1])
        mx.eval(model.parameters(), optimizer.state)
    model.freeze()


def test_a_ruined_adapter_shows(tiny_model, items):
    """A model that was taught answers and a passage knows them, with an adapter without effect too; a ruined one does not."""
    model, tokenizer = tiny_model()
    questions, passages = evenly(items["multiple_choice"], 8), items["log_likelihood"][:1]
    passage = tokenizer.encode(passages[0]["text"])
    known = [encode_choice(tokenizer, item["question"], item["answer"]) for item in questions]
    teach(model, [*known, Encoded(passage, [True] * len(passage), 0)])

    def scores() -> tuple[int, float]:
        right = sum(record["score"] for record in score_choices(model, tokenizer, questions))
        return right, score_passages(model, tokenizer, passages)[0]["score"]

    taught = scores()
    assert taught[0] == 8 and taught[1] > -3
    new_adapter(model, LoraShape(-1, 4, 2.0), 0.0, 0)
    assert scores() == taught
    mx.random.seed(0)
    tensors = [(name, w) for name, w in tree_flatten(model.trainable_parameters()) if name.endswith("lora_b")]
    model.load_weights([(name, mx.random.normal(w.shape)) for name, w in tensors], strict=False)
    right, prose = scores()
    assert right <= 5 and prose < taught[1] - 2


@pytest.mark.slow
def test_the_default_base_model_is_above_chance_and_a_ruined_adapter_is_not(in_the_root, items, tmp_path):
    subprocess.run([sys.executable, "-m", "stages.base", tmp_path / "base"], check=True)
    model, tokenizer = load_base(tmp_path / "base")
    questions, passages = items["multiple_choice"], items["log_likelihood"][:10]

    def scores() -> tuple[dict, float]:
        right = share(record["score"] for record in score_choices(model, tokenizer, questions))
        return right, fmean(record["score"] for record in score_passages(model, tokenizer, passages))

    right, prose = scores()
    assert right["low"] > 0.25, "four choices"
    new_adapter(model, LoraShape(-1, 16, 2.0), 0.0, 0)
    assert scores() == (right, prose)
    mx.random.seed(0)
    tensors = [(name, w) for name, w in tree_flatten(model.trainable_parameters()) if name.endswith("lora_b")]
    model.load_weights([(name, mx.random.normal(w.shape)) for name, w in tensors], strict=False)
    ruined, spoilt = scores()
    # Sums favour short answers even of a model that knows nothing, so that a little more than chance is left.
    assert ruined["high"] < right["low"] - 0.1 and spoilt < prose - 5, (right, ruined, prose, spoilt)


@settings(max_examples=20)
@given(st.text("ab .!?\n", max_size=40))
def test_checks_take_any_text(text):
    assert first_failed([{"sentences": 1}, {"lines": 1}, {"words_at_most": 3}], text) in (
        None,
        "sentences: 1",
        "lines: 1",
        "words_at_most: 3",
    )
