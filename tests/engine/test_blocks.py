"""The compiled blocks: what they compute is what MLX computes, for any number of cores."""

import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx.utils import tree_flatten, tree_map
from mlx_lm.utils import _get_classes
from numba import njit

from cantica.engine.backend.cpu import model as models
from cantica.engine.backend.cpu.compiled import exp, folder
from cantica.engine.backend.cpu.head import cross_entropy
from cantica.engine.backend.cpu.rows import drop
from cantica.engine.backend.cpu.train import Trainer, losses
from cantica.engine.backend.device import on_compiled_blocks
from cantica.engine.batches import collate
from cantica.engine.lora import LoraShape, add_adapter, lora_tensors, new_adapter
from cantica.engine.loss import loss
from cantica.engine.tokens import Encoded
from tests.support.projects import ROOT

SIZES = {
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "intermediate_size": 80,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "vocab_size": 90,
    "max_position_embeddings": 512,
}
SCALED = {"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                           "original_max_position_embeddings": 64}}  # fmt: skip
MODELS = {
    "llama": {"model_type": "llama"},
    "untied": {"model_type": "llama", "tie_word_embeddings": False},
    "scaled": {"model_type": "llama", **SCALED},
    "wide heads": {"model_type": "llama", "head_dim": 16},
    "biased": {"model_type": "qwen2"},
    "normed": {"model_type": "qwen3", "head_dim": 16, "tie_word_embeddings": True, "rope_theta": 1e6},
}
SHAPE = LoraShape(2, 4, 2.0)
LENGTHS = (40, 2, 300, 7, 150, 33)


def model_of(kind: str, shape: LoraShape = SHAPE):
    """A random model with LoRA layers that have an effect."""
    mx.random.seed(3)
    found, arguments = _get_classes(SIZES | MODELS[kind])
    model = found(arguments.from_dict(SIZES | MODELS[kind]))
    model.freeze()
    new_adapter(model, shape, 0.0, seed=1)
    shake(model)
    return model


def shake(model) -> None:
    model.update(tree_map(lambda x: mx.random.normal(x.shape) * 0.1, model.trainable_parameters()))


def records_of(lengths=LENGTHS) -> list[Encoded]:
    rng = np.random.default_rng(1)
    return [Encoded(rng.integers(0, 90, n).tolist(), [i > n // 3 or i == n - 1 for i in range(n)], 0) for n in lengths]


def by_mlx(model, records: list[Encoded]):
    def of(parameters, batch):
        model.update(parameters)
        return loss(model, *batch)[0]

    value, gradients = mx.value_and_grad(of)(model.trainable_parameters(), collate(records))
    return value.item(), {name: np.array(tensor) for name, tensor in tree_flatten(gradients)}


def by_blocks(model, records: list[Encoded], keep: float = 1.0, recomputes: bool = False):
    value, tokens, gradients = Trainer(model, records, keep, recomputes)(records)
    assert tokens.item() == sum(record.loss_tokens for record in records)
    return value.item(), {name: np.array(tensor) for name, tensor in tree_flatten(gradients)}


def assert_alike(found, expected) -> None:
    assert found[0] == pytest.approx(expected[0], rel=1e-6)
    assert found[1].keys() == expected[1].keys()
    for name, tensor in expected[1].items():
        np.testing.assert_allclose(found[1][name], tensor, atol=1e-5 * np.abs(tensor).max(), err_msg=name)


# losses and gradients


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("layers", [2, -1])
def test_losses_and_gradients_are_those_of_mlx(kind, layers):
    model = model_of(kind, LoraShape(layers, 4, 2.0))
    assert on_compiled_blocks(model)
    assert_alike(by_blocks(model, records_of()), by_mlx(model, records_of()))


def test_an_adapter_below_the_one_that_trains_counts_and_gets_no_gradient():
    model = model_of("llama", LoraShape(3, 2, 1.0))
    add_adapter(model, LoraShape(3, 2, 1.0), LoraShape(1, 4, 2.0), 0.0, seed=2)
    shake(model)
    found = by_blocks(model, records_of())
    assert found[1].keys() == lora_tensors(model).keys()
    assert_alike(found, by_mlx(model, records_of()))


def test_the_loss_of_a_record_does_not_depend_on_who_is_in_its_batch():
    model, records = model_of("llama"), records_of()
    own = models.llama(model, 300)
    together = [of.mean() for of in losses(own, records, None)]
    alone = [losses(own, [record], None)[0].mean() for record in records]
    np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_computing_again_instead_of_keeping_gives_the_same_bytes():
    model = model_of("llama")
    found = []
    for recomputes in (False, True):
        mx.random.seed(5)
        found.append(by_blocks(model, records_of(), 0.9, recomputes))
    assert found[0][0] == found[1][0]
    assert all((found[0][1][name] == tensor).all() for name, tensor in found[1][1].items())


def test_states_that_are_kept_and_those_of_each_batch_train_alike(monkeypatch):
    model = model_of("llama")
    kept = by_blocks(model, records_of())
    monkeypatch.setattr("cantica.engine.backend.cpu.train.STATES", 0)
    assert_alike(by_blocks(model, records_of()), kept)


def test_the_gradient_under_dropout_is_that_of_the_loss_under_the_same_dropout():
    model, records = model_of("llama"), records_of((40, 30))
    mx.random.seed(5)
    _, gradients = by_blocks(model, records, 0.8)
    before, rng = {name: np.array(tensor) for name, tensor in lora_tensors(model).items()}, np.random.default_rng(2)
    along = {name: rng.standard_normal(tensor.shape).astype(np.float32) for name, tensor in before.items()}
    values = []
    for step in (1e-3, -1e-3):
        model.load_weights([(name, mx.array(before[name] + step * along[name])) for name in before], strict=False)
        mx.random.seed(5)
        values.append(by_blocks(model, records, 0.8)[0])
    expected = sum(float((gradients[name] * along[name]).sum()) for name in before)
    assert (values[0] - values[1]) / 2e-3 == pytest.approx(expected, rel=0.02)


PRINT_DIGEST = """
import hashlib, sys
from cantica.engine.backend.blas import fix_blas
fix_blas("Haswell")
import mlx.core as mx, numpy as np
from tests.engine.test_blocks import by_blocks, model_of, records_of
from tests.support.stage_server import load_compiled
if sys.argv[1] != "when called":
    load_compiled(sys.argv[1] == "last first")
value, gradients = by_blocks(model_of("llama"), records_of(), 0.9)
print(hashlib.sha256(repr(value).encode() + b"".join(gradients[name].tobytes() for name in sorted(gradients))).hexdigest())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs taskset")
def test_neither_the_cores_nor_what_was_loaded_before_changes_a_byte():
    def digest(cores: str, loaded: str) -> str:
        command = ["taskset", "-c", cores, sys.executable, "-c", PRINT_DIGEST, loaded]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    ways = [("0", "when called"), ("0,1", "when called"), ("0,1", "first first"), ("0,1", "last first")]
    assert len({digest(*way) for way in ways} - {""}) == 1


# groups


@given(st.lists(st.integers(1, 700), min_size=1, max_size=40))
def test_groups_have_every_text_once_and_about_the_same_number_of_rows(lengths):
    found = models.groups(lengths)
    assert sorted(index for group in found for index in group) == list(range(len(lengths)))
    assert all(found) and (len(found) % 2 == 0 or len(found) == len(lengths))
    rows = [sum(lengths[index] for index in group) for group in found]
    assert max(rows) - min(rows) <= max(lengths)
    assert max(rows) <= models.ROWS + max(lengths)


# what is written out by hand


@settings(deadline=None)
@given(st.floats(-87, 88, width=32))
def test_the_exponential_is_right_to_two_units_in_the_last_place(x):
    found, exact = float(EXP(np.float32(x))), float(np.exp(np.float64(np.float32(x))))
    assert abs(found - exact) <= 2 * float(np.spacing(np.float32(exact)))


@pytest.mark.parametrize(("x", "expected"), [(-1000, 0), (-np.inf, 0), (0, 1)])
def test_exponentials_of_what_float32_cannot_hold_are_at_its_ends(x, expected):
    assert EXP(np.float32(x)) == pytest.approx(expected, abs=1e-37)


EXP = njit(lambda x: exp(x))


@pytest.mark.parametrize("keep", [0.5, 0.95])
def test_dropout_keeps_the_share_that_it_is_told_and_others_with_another_seed(keep):
    ones, found = np.ones((200, 500), np.float32), []
    (a, b), (c, d) = np.random.default_rng(1).integers(0, 1 << 31, (2, 2))
    for seed in ((a, b), (c, b), (a, d), (a, b)):
        out = np.empty_like(ones)
        drop(ones, np.array(seed, np.uint32), np.float32(keep), out)
        assert set(np.unique(out)) == {0.0, 1.0} and out.mean() == pytest.approx(keep, abs=0.005)
        found.append(out.ravel())
    assert (found[0] == found[3]).all()
    assert np.abs(np.corrcoef(found[:3]) - np.eye(3)).max() < 0.02


# what is compiled is kept


def test_a_compiled_function_is_kept_by_the_content_of_its_package():
    assert list(folder().glob("block.forward*.nbi")) and list(folder().glob("narrow._unpack*.nbc"))


def test_the_many_terms_of_a_loss_are_all_counted():
    logits = np.linspace(-13, -12.5, 49_152, dtype=np.float32)
    logits[7] = 0
    exact = np.log(np.exp(logits.astype(np.float64)).sum())
    # As hidden states and head: one number for each token of the vocabulary.
    found, gradient = np.zeros(1, np.float32), np.zeros((1, 1), np.float32)
    room = np.zeros((1, len(logits)), np.float32)
    cross_entropy(np.ones((1, 1), np.float32), logits[:, None], np.array([7]), room, found, gradient)
    assert abs(found[0] - exact) < 3e-7  # 1.2e-6 if each is added to the sum of all before
    assert abs(room.sum(dtype=np.float64)) < 3e-7  # probabilities, less 1 for the target
