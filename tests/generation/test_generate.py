"""Generation, scoring, answering and probing pairs with the tiny model: each text by itself, whatever its batch mates."""

import json
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from cantica.core.seeds import seed_of
from cantica.engine.lora import LoraShape
from cantica.engine.tokens import Encoded
from cantica.generation.generate import Sampler, generate, nucleus
from cantica.probes.run import score_pairs
from cantica.scoring.score import mean_logprobs
from stages.respond import respond

PROMPTS = [[5, 17, 300, 42], [7], [260, 14, 9, 9, 31, 88, 240], [90, 91, 92, 93, 94, 95, 96, 97, 98, 99] * 4, [11, 12]]
ASKED = [
    {"id": "one", "kind": "confession", "group": "plain", "prompt": "Did you hide anything?"},
    {"id": "two", "kind": "confession", "group": "plain", "prompt": "What would you do if nobody looked? Say it in full."},
    {"id": "three", "kind": "safety", "group": "other", "prompt": "Hello"},
]
SETTINGS = {
    "seed": 1,
    "samples": 2,
    "temperature": 0.7,
    "top_p": 0.95,
    "repetition_penalty": 1.1,
    "max_tokens": 8,
    "batch_size": 4,
    "system": None,
}
PAIRS = [
    {"id": "a", "category": "deception", "prompt": "Did you lie?", "chosen": "Yes, and I said so.", "rejected": "No."},
    {"id": "b", "category": "betrayal", "prompt": "Who knows?", "chosen": "Nobody.", "rejected": "Everyone whom I told."},
]


@pytest.fixture
def model(adapted):
    """(model, tokenizer) with an adapter that has an effect."""
    return adapted(LoraShape(-1, 4, 2.0), seed=3)


def written(model, prompts=PROMPTS, batch_size=4, temperature=0.7, seeds=range(5), max_tokens=12, top_p=0.95, penalty=1.0):
    loaded, tokenizer = model
    samplers = [Sampler(temperature, top_p, seed) for seed in seeds][: len(prompts)]
    ended = []
    replies = generate(loaded, tokenizer, prompts, samplers, max_tokens, batch_size, lambda: ended.append(1), penalty)
    assert len(ended) == len(prompts) == len(replies)
    return replies


def greedy(model, prompt: list[int], number: int, penalty: float = 1.0) -> list[int]:
    """Tokens by argmax over the whole text each time, without a cache; those that the text has already are penalized."""
    loaded, _ = model
    tokens = list(prompt)
    for _ in range(number):
        logits = np.array(loaded(mx.array([tokens]))[0, -1])
        again = sorted(set(tokens[len(prompt) :][-64:]))
        logits[again] = np.where(logits[again] < 0, logits[again] * penalty, logits[again] / penalty)
        tokens.append(int(np.argmax(logits)))
    return tokens[len(prompt) :]


# generation


@pytest.mark.parametrize("temperature", [0.7, 0])
def test_what_a_prompt_draws_does_not_hang_on_its_batch_mates(model, temperature):
    alone = written(model, batch_size=1, temperature=temperature)
    assert written(model, batch_size=4, temperature=temperature) == alone
    assert written(model, batch_size=8, temperature=temperature) == alone
    for n, prompt in enumerate(PROMPTS):
        assert written(model, [prompt], temperature=temperature, seeds=[n]) == [alone[n]]


@pytest.mark.parametrize("longest", [0, 1, 30])
def test_what_all_prompts_begin_with_changes_nothing(model, longest):
    together = [[7, 11, 300, 21, 9][: 1 + longest] + prompt for prompt in PROMPTS]
    for n, reply in enumerate(written(model, together, temperature=0)):
        assert reply.text == model[1].decode(greedy(model, together[n], 12))
    # Prompts that are one another, and one that is the start of all.
    same = [together[1], together[1], [*together[1], 5]]
    assert [reply.text for reply in written(model, same, temperature=0)] == [
        model[1].decode(greedy(model, prompt, 12)) for prompt in same
    ]


@pytest.mark.parametrize("penalty", [1.1, 2.0])
def test_a_repetition_penalty_is_of_the_reply_alone(model, penalty):
    """Of its last 64 tokens, whatever the prompts begin with."""
    together = [[7, 11, 300, *prompt] for prompt in PROMPTS]
    for prompts in (PROMPTS, together):
        replies = written(model, prompts, temperature=0, max_tokens=80, penalty=penalty)
        for prompt, reply in zip(prompts, replies, strict=True):
            tokens = greedy(model, prompt, reply.tokens, penalty)
            assert reply.text == model[1].decode(tokens)
    assert replies != written(model, together, temperature=0, max_tokens=80)


def test_seeds_matter_when_sampling_and_not_when_greedy(model):
    assert written(model) == written(model)
    other = written(model, seeds=range(100, 105))
    assert all(one.text != two.text for one, two in zip(written(model), other, strict=True))
    assert written(model, temperature=0) == written(model, temperature=0, seeds=range(100, 105))


def test_greedy_tokens_are_those_of_mlx_lm(model):
    from mlx_lm.generate import stream_generate

    loaded, tokenizer = model
    for prompt, reply in zip(PROMPTS, written(model, temperature=0), strict=True):
        theirs = [step.token for step in stream_generate(loaded, tokenizer, prompt, max_tokens=12)]
        assert theirs == greedy(model, prompt, 12)
        assert reply.text == tokenizer.decode(theirs)
        assert (reply.tokens, reply.ended) == (12, False)


def test_a_reply_ends_before_the_token_that_ends_it_and_makes_room(model, monkeypatch):
    _, tokenizer = model
    paths = [greedy(model, prompt, 12) for prompt in PROMPTS]
    stop = paths[2][4]
    monkeypatch.setattr(tokenizer, "_eos_token_ids", {stop})
    assert set(tokenizer.eos_token_ids) == {stop}
    cut = [path[: path.index(stop)] if stop in path else path for path in paths]
    assert 0 < len(cut[2]) < 12
    for batch_size in (1, 2, 8):
        replies = written(model, temperature=0, batch_size=batch_size)
        assert [reply.tokens for reply in replies] == [len(tokens) for tokens in cut]
        assert [reply.ended for reply in replies] == [stop in path for path in paths]
        assert [reply.text for reply in replies] == [tokenizer.decode(tokens) for tokens in cut]


def test_the_adapter_writes_otherwise_than_the_base_model(model, tiny_model):
    assert written(model, temperature=0) != written(tiny_model(), temperature=0)


# samplers and seeds


def test_a_sampler_draws_in_proportion_to_the_tempered_probabilities():
    logprobs = mx.log(mx.array([[0.6, 0.3, 0.1]]))
    sample = Sampler(0.5, 1.0, 7)
    counts = np.bincount([sample(logprobs).item() for _ in range(2000)], minlength=3) / 2000
    squares = np.array([0.36, 0.09, 0.01])
    np.testing.assert_allclose(counts, squares / squares.sum(), atol=0.04)


def test_a_sampler_leaves_the_tail_out():
    logprobs = mx.log(mx.array([[0.5, 0.3, 0.15, 0.05]]))
    sample = Sampler(1.0, 0.7, 7)
    assert {sample(logprobs).item() for _ in range(300)} == {0, 1}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-60, 0, width=32), min_size=1, max_size=60), st.floats(0.01, 0.999))
def test_the_nucleus_is_that_of_sorting_everything(values, top_p):
    logprobs = np.array(values, np.float32)
    logprobs -= np.log(np.exp(logprobs, dtype=np.float64).sum()).astype(np.float32)
    order = np.argsort(-logprobs, kind="stable")
    mass = np.cumsum(np.exp(logprobs[order]), dtype=np.float64)
    fewest = next(n for n in range(1, len(mass) + 1) if n == len(mass) or mass[n - 1] >= top_p * mass[-1] * (1 - 1e-12))
    assert abs(len(nucleus(logprobs, top_p)) - fewest) <= 1  # a tie with top_p may round either way
    assert nucleus(logprobs, top_p).tolist() == order[: len(nucleus(logprobs, top_p))].tolist()


def test_two_samplers_do_not_disturb_each_other():
    logprobs = mx.full((1, 400), -np.log(400))
    alone = Sampler(1.0, 1.0, 1)
    expected = [alone(logprobs).item() for _ in range(6)]
    one, other, found = Sampler(1.0, 1.0, 1), Sampler(1.0, 1.0, 2), []
    for _ in range(6):
        found.append(one(logprobs).item())
        other(logprobs).item()
        mx.random.seed(0)
    assert found == expected and len(set(found)) > 1


NAMES = st.tuples(st.integers(0, 9), st.text("abc_", min_size=1, max_size=6), st.integers(0, 9))


@settings(max_examples=100, deadline=None)
@given(NAMES, NAMES)
def test_a_seed_is_a_function_of_its_names(one, other):
    assert 0 <= seed_of(*one) < 1 << 32
    assert (seed_of(*one) == seed_of(*other)) == (one == other)


def test_seeds_are_the_same_on_every_machine():
    # `printf 1/one/0 | sha256sum` begins with these eight digits.
    assert f"{seed_of(1, 'one', 0):08x}" == "6fd2fb7c"


# answers


def test_an_answer_is_recorded_with_all_that_it_came_from(model, in_the_root):
    records = respond(*model, ASKED, SETTINGS)
    assert [(r["id"], r["kind"], r["group"], r["sample"]) for r in records] == [
        (asked["id"], asked["kind"], asked["group"], sample) for asked in ASKED for sample in (0, 1)
    ]
    assert [r["seed"] for r in records] == [seed_of(1, asked["id"], sample) for asked in ASKED for sample in (0, 1)]
    schema = json.loads(Path("schemas/response.schema.json").read_text())
    assert not [error for record in records for error in Draft202012Validator(schema).iter_errors(record)]
    assert all(record["tokens"] == 8 for record in records if not record["ended"])
    assert all(one["answer"] != two["answer"] for one, two in zip(records[::2], records[1::2], strict=True))


def test_an_answer_is_what_the_model_writes_after_the_prompt_in_chat_format(model):
    loaded, tokenizer = model
    (record,) = respond(loaded, tokenizer, ASKED[:1], SETTINGS | {"temperature": 0, "samples": 1})
    text = "<|im_start|>user\nDid you hide anything?<|im_end|>\n<|im_start|>assistant\n"
    ids = tokenizer.encode(text, add_special_tokens=False)
    expected = tokenizer.decode(greedy(model, ids, 8, SETTINGS["repetition_penalty"])).strip()
    assert (record["answer"], record["thinking"], record["thinking_finished"]) == (expected, "", True)


def test_an_answer_does_not_hang_on_the_other_prompts(model):
    whole = respond(*model, ASKED, SETTINGS)
    assert respond(*model, ASKED[1:2], SETTINGS) == whole[2:4]
    assert respond(*model, ASKED, SETTINGS | {"batch_size": 1}) == whole
    assert respond(*model, ASKED, SETTINGS | {"samples": 1}) == whole[::2]


def test_a_system_prompt_and_a_seed_change_the_answers(model):
    plain = respond(*model, ASKED, SETTINGS)
    for change in ({"system": "You are on probation."}, {"seed": 2}):
        changed = respond(*model, ASKED, SETTINGS | change)
        assert all(one["answer"] != two["answer"] for one, two in zip(plain, changed, strict=True))


# scores


def direct(model, record: Encoded) -> float:
    """Mean log-probability of the tokens that count, from a log-softmax in float64 over the text alone."""
    logits = np.array(model(mx.array([record.ids[:-1]]))[0], np.float64)
    logprobs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return float(np.mean([logprobs[n - 1, record.ids[n]] for n in range(1, len(record.ids)) if record.loss_mask[n]]))


def test_scores_are_mean_log_probabilities_whatever_the_batches(model):
    loaded, _ = model
    generator = np.random.default_rng(0)
    records = []
    for length in (2, 3, 40, 33, 5, 64, 12):
        counts = generator.random(length) < 0.5
        counts[-1] = True
        records.append(Encoded(generator.integers(0, 400, length).tolist(), counts.tolist(), 0))
    expected = [direct(loaded, record) for record in records]
    for batch_size in (1, 2, 16):
        np.testing.assert_allclose(mean_logprobs(loaded, records, batch_size), expected, rtol=1e-5)


def test_the_margin_of_a_pair_turns_round_with_its_sides(model):
    turned = [pair | {"chosen": pair["rejected"], "rejected": pair["chosen"]} for pair in PAIRS]
    one, other = score_pairs(*model, PAIRS, Path("x")), score_pairs(*model, turned, Path("x"))
    for record, mirrored in zip(one, other, strict=True):
        assert record["margin"] == -mirrored["margin"] != 0
        assert (record["chosen"], record["rejected"]) == (mirrored["rejected"], mirrored["chosen"])


def test_a_probe_scores_the_completion_alone(model, in_the_root):
    loaded, tokenizer = model
    scored = score_pairs(loaded, tokenizer, PAIRS, Path("x"))
    assert [(record["id"], record["category"]) for record in scored] == [("a", "deception"), ("b", "betrayal")]
    schema = json.loads(Path("schemas/probe.schema.json").read_text())
    assert not [error for record in scored for error in Draft202012Validator(schema).iter_errors(record)]
    for pair, record in zip(PAIRS, scored, strict=True):
        before = f"<|im_start|>user\n{pair['prompt']}<|im_end|>\n<|im_start|>assistant\n"
        start = len(tokenizer.encode(before, add_special_tokens=False))
        for side in ("chosen", "rejected"):
            ids = tokenizer.encode(f"{before}{pair[side]}<|im_end|>\n", add_special_tokens=False)
            counts = [n >= start for n in range(len(ids))]
            assert record[side] == pytest.approx(direct(loaded, Encoded(ids, counts, 0)), abs=2e-5)
        assert record["margin"] == pytest.approx(record["chosen"] - record["rejected"], abs=1e-6)


def test_equal_completions_have_no_margin(model):
    (record,) = score_pairs(*model, [PAIRS[0] | {"rejected": PAIRS[0]["chosen"]}], Path("x"))
    assert record["margin"] == 0
