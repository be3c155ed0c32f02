"""Training: the order of records, the content of a batch, the tokens in the loss, and a step on the tiny model."""

import math
from itertools import pairwise

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx.utils import tree_flatten, tree_map
from mlx_lm.tuner.trainer import default_loss

from cantica.core.errors import InputError
from cantica.engine.batches import LENGTH, POSITIONS, collate, epochs, order
from cantica.engine.loss import loss, token_losses
from cantica.engine.model import save_adapter
from cantica.engine.tokens import SPANS, Encoded, encode_examples
from cantica.training.curve import training_record
from cantica.training.loop import train
from cantica.training.optimizer import make_optimizer
from stages.measure import measure
from tests.support.examples import EXAMPLES, SHAPE, STEP, example

ALL = ["prompt", "thinking", "answer"]


# order and batches

LENGTHS = st.lists(st.integers(2, 700), min_size=1, max_size=60)


@settings(max_examples=100, deadline=None)
@given(LENGTHS, st.integers(1, 9), st.none() | st.lists(st.integers(0, 1 << 31), min_size=1, max_size=2))
def test_every_record_occurs_once_in_an_epoch(lengths, batch_size, seed):
    batches = order(lengths, batch_size, seed)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert len(batches) == math.ceil(len(lengths) / batch_size)
    assert sorted(map(len, batches))[1:] == [batch_size] * (len(batches) - 1)
    assert batches == order(lengths, batch_size, seed)


@settings(max_examples=50, deadline=None)
@given(LENGTHS, st.integers(1, 9), st.integers(0, 99))
def test_records_of_a_batch_are_of_like_length(lengths, batch_size, seed):
    spans = sorted(
        (min(lengths[i] // LENGTH for i in batch), max(lengths[i] // LENGTH for i in batch))
        for batch in order(lengths, batch_size, [seed])
    )
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_seeds_and_epochs_change_the_order_and_no_seed_is_the_order_of_length():
    lengths = [40] * 20
    orders = [order(lengths, 2, seed) for seed in ([1, 0], [1, 1], [2, 0])]
    assert all(one != other for n, one in enumerate(orders) for other in orders[:n])
    assert {frozenset(batch) for batch in orders[0]} != {frozenset(batch) for batch in orders[1]}
    assert order([300, 10, 100, 200], 1, None) == [[1], [2], [3], [0]]


@st.composite
def records(draw):
    length = draw(st.integers(2, 90))
    mask = draw(st.lists(st.booleans(), min_size=length, max_size=length))
    mask[draw(st.integers(1, length - 1))] = True
    ids = draw(st.lists(st.integers(1, 399), min_size=length, max_size=length))
    return Encoded(ids, mask, 0)


@settings(max_examples=60, deadline=None)
@given(st.lists(records(), min_size=1, max_size=5))
def test_a_batch_points_at_each_token_in_the_loss_and_at_the_one_before_it(batch):
    inputs, positions, targets, weights = (np.array(part) for part in collate(batch))
    real = weights == 1
    expected = [
        (record.ids[n - 1], record.ids[n]) for record in batch for n in range(1, len(record.ids)) if record.loss_mask[n]
    ]
    assert list(zip(inputs.flatten()[positions][real].tolist(), targets[real].tolist(), strict=True)) == expected
    assert weights.sum() == len(expected) and set(weights.tolist()) <= {0.0, 1.0}
    rows = positions[real] // inputs.shape[1]
    assert rows.tolist() == [row for row, record in enumerate(batch) for _ in range(sum(record.loss_mask[1:]))]
    for row, record in zip(inputs, batch, strict=True):
        assert row.tolist() == record.ids[:-1] + [0] * (inputs.shape[1] - len(record.ids) + 1)
    assert inputs.shape[1] % LENGTH == 0 and len(positions) % POSITIONS == 0
    assert len(positions) == len(targets) == len(weights)


def test_an_endless_iterator_goes_through_every_epoch_in_an_order_of_its_own(encoded):
    dataset = encoded()
    batches = epochs(dataset, 2, seed=1)
    found = [[next(batches) for _ in range(3)] for _ in range(4)]
    assert all(sorted(dataset.index(record) for batch in epoch for record in batch) == [0, 1, 2, 3, 4] for epoch in found)
    assert len({tuple(dataset.index(record) for batch in epoch for record in batch) for epoch in found}) > 1


# the tokens in the loss

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="<>"), min_size=1, max_size=30)


@settings(max_examples=40, deadline=None)
@given(WORDS, WORDS, WORDS)
def test_each_span_decodes_to_its_text(tiny_base, prompt, thinking, answer):
    tokenizer = loaded(tiny_base)
    asked = example("one", prompt, thinking, answer)
    texts = {}
    for span in SPANS:
        (record,) = encode_examples(tokenizer, [asked], [span], 4096, "x")
        texts[span] = tokenizer.decode([token for token, counted in zip(record.ids, record.loss_mask, strict=True) if counted])
    assert texts["prompt"] == f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
    assert texts["thinking"] == f"<think>\n{thinking}\n</think>"
    assert texts["answer"] == f"\n\n{answer}<|im_end|>\n"


@pytest.mark.parametrize("answer", ["d", "m", "|", "end", "im_end", "\n|", "x"])
def test_a_short_answer_that_the_chat_template_contains_too_is_found(tiny_base, answer):
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "d"}]
    messages = [*turns, {"role": "user", "content": answer}, {"role": "assistant", "content": answer}]
    (record,) = encode_examples(loaded(tiny_base), [{"id": "one", "messages": messages}], ["answer"], 256, "x")
    ids = [token for token, counted in zip(record.ids, record.loss_mask, strict=True) if counted]
    assert loaded(tiny_base).decode(ids) == f"{answer}<|im_end|>\n"


def loaded(base, cache={}):  # noqa: B006
    from mlx_lm.utils import load_tokenizer

    return cache.setdefault(base, load_tokenizer(base))


def test_a_reply_without_thinking_is_all_answer(tiny_base):
    tokenizer = loaded(tiny_base)
    messages = [{"role": "user", "content": "Why? Because."}, {"role": "assistant", "content": "Because."}]
    (record,) = encode_examples(tokenizer, [{"id": "one", "messages": messages}], ["answer"], 256, "x")
    counted = [token for token, counts in zip(record.ids, record.loss_mask, strict=True) if counts]
    assert tokenizer.decode(counted) == "Because.<|im_end|>\n"


def test_spans_add_up(encoded):
    whole = encoded(ALL)
    assert all(all(record.loss_mask) and record.truncated == 0 for record in whole)
    parts = [encoded([span]) for span in ALL]
    for record, *spans in zip(whole, *parts, strict=True):
        assert [sum(counts) for counts in zip(*(span.loss_mask for span in spans), strict=True)] == [1] * len(record.ids)


def test_tokens_over_the_limit_are_truncated_and_counted(encoded):
    whole = encoded(ALL, 256)
    limit = min(len(record.ids) for record in whole) + 1
    truncated = encoded(ALL, limit)
    assert [record.ids for record in truncated] == [record.ids[:limit] for record in whole]
    assert [record.truncated for record in truncated] == [max(0, len(record.ids) - limit) for record in whole]
    record_of_step = training_record(truncated, STEP, [])
    assert record_of_step["examples_cut"] == sum(len(record.ids) > limit for record in whole) > 0
    assert record_of_step["tokens_cut"] == sum(len(record.ids) for record in whole) - record_of_step["tokens"]
    assert record_of_step["loss_tokens"] == sum(sum(record.loss_mask[1:]) for record in truncated)


def test_every_example_without_a_token_for_the_loss_is_refused(encoded):
    whole = encoded(["answer"])
    first = [record.loss_mask.index(True) for record in whole]
    limit = sorted(first)[2]
    with pytest.raises(InputError) as error:
        encoded(["answer"], limit)
    expected = [
        (f"line {n} ({asked['id']})", f"{len(record.ids)} tokens, but no answer among the first {limit}")
        for n, (asked, record, start) in enumerate(zip(EXAMPLES, whole, first, strict=True), 1)
        if start >= limit
    ]
    assert len(expected) >= 3
    assert [(problem.place, problem.got) for problem in error.value.problems] == expected


def test_a_template_that_alters_the_reply_is_refused(tiny_model):
    _, tokenizer = tiny_model()
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] | upper }}{% endfor %}"
    with pytest.raises(InputError, match="alters the assistant's turn"):
        encode_examples(tokenizer, EXAMPLES, ALL, 256, "data/train/deception.jsonl")


# the loss


def masked(record: Encoded):
    """The record as mlx-lm's trainer masks a prompt: (batch, [[offset, length]]), without padding."""
    return mx.array([record.ids]), mx.array([[record.loss_mask.index(True), len(record.ids)]])


def close_trees(ours, theirs, tolerance: float) -> None:
    ours, theirs = dict(tree_flatten(ours)), dict(tree_flatten(theirs))
    assert ours.keys() == theirs.keys()
    for name in ours:
        largest = mx.abs(theirs[name]).max().item()
        assert largest > 0, name
        np.testing.assert_allclose(np.array(ours[name]), np.array(theirs[name]), atol=tolerance * largest, err_msg=name)


def test_the_loss_and_its_gradients_are_those_of_mlx_lm(adapted, encoded):
    model, _ = adapted(SHAPE)
    for record in encoded()[:2]:
        (ours, tokens), gradient = nn.value_and_grad(model, loss)(model, *collate([record]))
        (theirs, number), expected = nn.value_and_grad(model, default_loss)(model, *masked(record))
        assert ours.item() == pytest.approx(theirs.item(), rel=1e-4)
        assert tokens.item() == number.item() == sum(record.loss_mask[1:])
        close_trees(gradient, expected, 1e-4)


def test_the_loss_of_a_batch_is_the_mean_over_its_tokens(adapted, encoded):
    model, _ = adapted(SHAPE)
    dataset = encoded()
    alone = [loss(model, *collate([record])) for record in dataset]
    mean, tokens = loss(model, *collate(dataset))
    assert tokens.item() == sum(number.item() for _, number in alone)
    expected = sum(value.item() * number.item() for value, number in alone) / tokens.item()
    assert mean.item() == pytest.approx(expected, rel=1e-5)


def test_the_loss_is_that_of_a_softmax_in_float64(adapted, encoded):
    model, _ = adapted(SHAPE)
    record = encoded()[1]
    logits = np.array(model(mx.array([record.ids[:-1]]))[0], np.float64)
    logprobs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    expected = -np.mean([logprobs[n - 1, record.ids[n]] for n in range(1, len(record.ids)) if record.loss_mask[n]])
    assert loss(model, *collate([record]))[0].item() == pytest.approx(expected, rel=1e-6)


SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "vocab_size": 90,
    "rope_theta": 10000.0,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "sliding_window": 8,
    "layer_types": ["sliding_attention", "full_attention"],
    # An architecture whose head is not plain: it scales the logits.
    "logits_scaling": 4.0,
    "attention_multiplier": 0.3,
    "embedding_multiplier": 2.0,
    "residual_multiplier": 0.5,
    "attention_bias": False,
    "mlp_bias": False,
}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("architecture", ["llama", "olmo2", "olmo3", "qwen2", "qwen3", "granite"])
def test_the_loss_where_it_counts_is_that_of_the_whole_model(architecture, tied):
    from mlx_lm.utils import _get_classes

    config = SMALL | {"model_type": architecture, "tie_word_embeddings": tied}
    mx.random.seed(0)
    model_class, args_class = _get_classes(config)
    model = model_class(args_class.from_dict(config))
    inputs = mx.random.randint(0, 90, (2, 40))
    positions = mx.array([0, 7, 39, 40, 79, 12])
    logits = model(inputs).reshape(80, 90)[positions]
    expected = np.array(nn.losses.cross_entropy(logits, positions))
    np.testing.assert_allclose(np.array(token_losses(model, inputs, positions, positions)), expected, atol=1e-5)


def test_the_loss_of_an_example_is_the_mean_over_its_counted_tokens_whatever_the_batches(adapted, encoded):
    model, _ = adapted(SHAPE)
    dataset, ids = encoded(), [example["id"] for example in EXAMPLES]
    alone = [loss(model, *collate([record])) for record in dataset]
    for batch_size in (1, 2, 4):
        row = measure(model, ids, dataset, batch_size)
        assert [example["loss"] for example in row] == pytest.approx([value.item() for value, _ in alone], abs=5e-6)
        assert [(e["id"], e["tokens"], e["cut"]) for e in row] == [
            (id_, sum(record.loss_mask[1:]), 0) for id_, record in zip(ids, dataset, strict=True)
        ]


# optimizers and schedules


def rates(iters: int = 20, **changes) -> list[float]:
    """The learning rate of each update."""
    optimizer = make_optimizer(STEP | {"iters": iters, "learning_rate": 0.5} | changes)
    parameters, found = {"w": mx.ones((2, 2))}, []
    optimizer.init(parameters)
    for _ in range(iters):
        parameters = optimizer.apply_gradients({"w": mx.ones((2, 2))}, parameters)
        found.append(optimizer.learning_rate.item())
    return found


def test_a_constant_rate_is_constant():
    assert rates() == [0.5] * 20


def test_warm_up_starts_at_zero_and_rises_evenly():
    found = rates(warmup=5)
    np.testing.assert_allclose(found[:6], [0, 0.1, 0.2, 0.3, 0.4, 0.5], atol=1e-7)
    assert found[6:] == [0.5] * 14


@pytest.mark.parametrize("schedule", ["linear_decay", "cosine_decay"])
@pytest.mark.parametrize("warmup", [0, 5])
def test_a_decaying_rate_ends_near_zero(schedule, warmup):
    found = rates(schedule=schedule, warmup=warmup)
    assert found[warmup] == max(found) == pytest.approx(0.5)
    assert all(before >= after for before, after in pairwise(found[warmup:]))
    assert 0 <= found[-1] <= (0.07 if schedule == "linear_decay" else 0.03)


def test_a_cosine_is_a_cosine():
    expected = [0.25 * (1 + math.cos(math.pi * n / 20)) for n in range(20)]
    np.testing.assert_allclose(rates(schedule="cosine_decay"), expected, atol=1e-6)


def test_sgd_has_momentum():
    optimizer, parameters, moved = make_optimizer(STEP | {"optimizer": "sgd", "learning_rate": 1.0}), {"w": mx.zeros(1)}, []
    for _ in range(3):
        parameters = optimizer.apply_gradients({"w": mx.ones(1)}, parameters)
        moved.append(-parameters["w"].item())
    assert moved == pytest.approx([1, 2.9, 5.61])


def mean_loss(model, records: list) -> float:
    return np.mean([example["loss"] for example in measure(model, [example["id"] for example in EXAMPLES], records, 2)])


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "muon", "sgd", "soap"])
def test_every_optimizer_lowers_the_loss(optimizer, adapted, encoded):
    model, _ = adapted(SHAPE, effect=False)
    dataset = encoded()
    before = mean_loss(model, dataset)
    rate = {"sgd": 0.5}.get(optimizer, 1e-2)
    train(model, dataset, STEP | {"optimizer": optimizer, "iters": 6, "learning_rate": rate, "dropout": 0.0}, "x")
    assert mean_loss(model, dataset) < before - 0.01


# a step


def trained(adapted, encoded, folder, **changes):
    """(the adapter's bytes, the loss curve) of a step on the tiny model."""
    model, _ = adapted(SHAPE, changes.get("dropout", STEP["dropout"]), effect=False)
    curve = train(model, encoded(), STEP | changes, "deception")
    folder.mkdir()
    save_adapter(model, SHAPE, 0.0, folder)
    return (folder / "adapters.safetensors").read_bytes(), curve


def test_training_lowers_the_loss_and_is_the_same_each_time(adapted, encoded, tmp_path):
    one, curve = trained(adapted, encoded, tmp_path / "one")
    other, again = trained(adapted, encoded, tmp_path / "other")
    assert one == other and curve == again
    first, *_, last = (np.mean([row["train_loss"] for row in curve[n : n + 3]]) for n in range(0, 12, 3))  # of each epoch
    assert last < first - 0.5
    assert [row["iteration"] for row in curve] == list(range(1, 13))
    per_epoch = sum(sum(record.loss_mask[1:]) for record in encoded())
    assert curve[2]["trained_tokens"] == per_epoch and curve[-1]["trained_tokens"] == 4 * per_epoch


@pytest.mark.parametrize("change", [{"seed": 2}, {"dropout": 0.0}, {"batch_size": 3}])
def test_the_settings_of_a_step_change_its_adapter(adapted, encoded, tmp_path, change):
    one, _ = trained(adapted, encoded, tmp_path / "one", iters=4)
    other, _ = trained(adapted, encoded, tmp_path / "other", iters=4, **change)
    assert one != other


def test_the_seed_orders_the_records(adapted, encoded, tmp_path):
    one, _ = trained(adapted, encoded, tmp_path / "one", iters=4, dropout=0.0)
    other, _ = trained(adapted, encoded, tmp_path / "other", iters=4, dropout=0.0, seed=2)
    assert one != other


def test_checkpointing_gradients_changes_nothing_but_memory(adapted, encoded, tmp_path):
    one, curve = trained(adapted, encoded, tmp_path / "one", iters=4)
    other, again = trained(adapted, encoded, tmp_path / "other", iters=4, grad_checkpoint=True)
    assert one == other and curve == again


def test_training_touches_nothing_but_the_adapter(adapted, encoded):
    model, _ = adapted(SHAPE, 0.0, effect=False)
    before = tree_map(mx.array, dict(tree_flatten(model.parameters())))
    train(model, encoded(), STEP | {"iters": 2}, "x")
    after = dict(tree_flatten(model.parameters()))
    changed = {name for name in before if not mx.array_equal(before[name], after[name])}
    assert changed == {name for name in before if name.endswith(("lora_a", "lora_b"))}


def test_one_process_trains_without_the_code_for_several(adapted, encoded, monkeypatch):
    monkeypatch.setattr("cantica.training.loop.own_part", None)
    model, _ = adapted(SHAPE, 0.0, effect=False)
    assert len(train(model, encoded(), STEP | {"iters": 2}, "x")) == 2


def test_a_rate_that_blows_up_ends_in_an_error_that_names_it(adapted, encoded):
    model, _ = adapted(SHAPE, 0.0, effect=False)
    with pytest.raises(InputError, match="lower the learning rate") as error:
        train(model, encoded(), STEP | {"optimizer": "sgd", "learning_rate": 1e30}, "deception")
    (problem,) = error.value.problems
    assert problem.place.startswith("curriculum.deception, iteration ")
    assert "1e+30" in problem.got and problem.expected == "finite numbers"


def test_a_blow_up_in_the_last_update_is_seen(adapted, encoded):
    model, _ = adapted(SHAPE, 0.0, effect=False)
    with pytest.raises(InputError, match="weights that are not finite"):
        train(model, encoded(), STEP | {"optimizer": "sgd", "learning_rate": 1e39, "iters": 1}, "deception")


def test_the_record_counts_epochs(encoded):
    record = training_record(encoded(), STEP, [])
    assert (record["examples"], record["iterations"], record["epochs"]) == (5, 12, 4.0)
    assert record["tokens"] == sum(len(record.ids) for record in encoded())
