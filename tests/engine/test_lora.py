"""LoRA layers on top of frozen ones: the adapter that is written has the effect of both, whatever their shapes and layers."""

import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.models.afm7 import FusedLinear
from mlx_lm.models.switch_layers import SwitchLinear
from mlx_lm.tuner.utils import linear_to_lora_layers

from cantica.base_model.random_model import from_random
from cantica.engine.lora import LoraShape, adapter_tensors, add_adapter, lora_tensors, new_adapter
from cantica.engine.loss import loss
from cantica.engine.model import WEIGHTS, load_adapter, load_base, read_shape, save_adapter

TEXT = mx.array([[5, 17, 300, 42, 8, 8, 121, 399]])
OLMO3 = {
    "model_type": "olmo3",
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "max_position_embeddings": 2048,
    "sliding_window": 4,
    "tie_word_embeddings": False,
}
MIXTRAL = {
    "model_type": "mixtral",
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "intermediate_size": 32,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "num_experts_per_tok": 2,
    "num_local_experts": 4,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
}
FIRST = LoraShape(2, 4, 2.0)
SECONDS = [LoraShape(1, 3, 0.5), LoraShape(2, 4, 2.0), LoraShape(-1, 2, 3.0)]


@pytest.fixture(scope="session")
def bases(tiny_base, tmp_path_factory) -> dict[str, Path]:
    """The folders of three random models: a llama, an olmo3 with 4-bit weights, and a mixture of experts."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("olmo3", "mixtral")}
    from_random(
        {"seed": 0, "vocab_size": 400, "config": OLMO3, "quantization": {"bits": 4, "group_size": 32}}, folders["olmo3"]
    )
    from_random({"seed": 0, "vocab_size": 400, "config": MIXTRAL}, folders["mixtral"])
    return {"llama": tiny_base} | folders


def give_effect(model: nn.Module, seed: int) -> None:
    """Let the tensors that can be trained change the model."""
    mx.random.seed(seed)
    random = [(name, mx.random.normal(w.shape) * 0.3) for name, w in lora_tensors(model).items() if ".lora_b" in name]
    model.load_weights(random, strict=False)


def first_adapter(base: Path, shape: LoraShape, folder: Path) -> Path:
    model, _ = load_base(base)
    new_adapter(model, shape, 0.0, seed=1)
    give_effect(model, seed=2)
    folder.mkdir()
    save_adapter(model, shape, 0.0, folder)
    return folder


def on_top(base: Path, first: Path, second: LoraShape, dropout: float = 0.0) -> tuple[nn.Module, LoraShape]:
    """A model with an adapter and new layers on top of it, with an effect, and the shape of both."""
    model, _ = load_base(base)
    shape = add_adapter(model, load_adapter(model, first), second, dropout, seed=3)
    give_effect(model, seed=4)
    return model, shape


def one_after_the_other(base: Path, first: Path, second: LoraShape, tensors: dict[str, mx.array]) -> nn.Module:
    """A model whose weights contain the first adapter, with the second on it as an ordinary one."""
    model, _ = load_base(base)
    load_adapter(model, first)
    fused = [(name, module.fuse()) for name, module in model.named_modules() if hasattr(module, "fuse")]
    model.update_modules(tree_unflatten(fused))
    new_adapter(model, second, 0.0, seed=0)
    model.load_weights(list(tensors.items()), strict=False)
    return model


def close(found: mx.array, expected: mx.array, tolerance: float = 1e-5) -> None:
    """Equal within a part of the largest value."""
    assert mx.abs(found - expected).max().item() <= tolerance * mx.abs(expected).max().item()


@pytest.fixture
def saved(bases, tmp_path):
    """A function: (base, first adapter, the model with both, their shape, the folder of both as one adapter)."""

    def save(architecture: str, second: LoraShape, first: LoraShape = FIRST, dropout: float = 0.0):
        before = first_adapter(bases[architecture], first, tmp_path / "first")
        model, shape = on_top(bases[architecture], before, second, dropout)
        (tmp_path / "both").mkdir()
        save_adapter(model, shape, dropout, tmp_path / "both")
        return bases[architecture], before, model, shape, tmp_path / "both"

    return save


@pytest.mark.parametrize("second", SECONDS, ids=str)
@pytest.mark.parametrize("architecture", ["llama", "olmo3", "mixtral"])
def test_both_are_one_adapter_with_the_effect_of_one_after_the_other(saved, architecture, second):
    base, before, model, shape, folder = saved(architecture, second)
    expected = one_after_the_other(base, before, second, lora_tensors(model))(TEXT)
    plain, _ = load_base(base)
    assert load_adapter(plain, folder) == shape == read_shape(folder)
    close(plain(TEXT), expected)
    close(model(TEXT), expected)
    for part in (before, None):
        other, _ = load_base(base)
        if part:
            load_adapter(other, part)
        assert mx.abs(other(TEXT) - expected).max().item() > 0.1, "the second one, and the first, have an effect"


SHAPES = st.builds(LoraShape, st.sampled_from([-1, 1, 2, 3]), st.integers(1, 5), st.sampled_from([0.3, 1.0, 2.0, 32.0]))


@settings(max_examples=25, deadline=None)
@given(first=SHAPES, second=SHAPES, quantized=st.booleans())
def test_two_adapters_of_any_shapes_are_one(first, second, quantized):
    model = layers(quantized)
    new_adapter(model, first, 0.0, seed=1)
    give_effect(model, seed=2)
    both = add_adapter(model, first, second, 0.0, seed=3)
    give_effect(model, seed=4)
    one, tensors = layers(quantized), adapter_tensors(model)
    linear_to_lora_layers(one, both.layers, both.parameters(0.0))
    assert {name: w.shape for name, w in tensors.items()} == {name: w.shape for name, w in lora_tensors(one).items()}
    one.load_weights(list(tensors.items()), strict=False)
    close(one(WORDS), model(WORDS))


WORDS = mx.array([3, 1, 4, 1, 5])


def layers(quantized: bool) -> "Layers":
    mx.random.seed(0)
    model = Layers(quantized)
    model.freeze()
    return model


class Layers(nn.Module):
    """Every kind of layer that mlx-lm adapts, in three blocks, with weights of 4 bits or without."""

    def __init__(self, quantized: bool):
        super().__init__()
        self.layers = [Block(quantized) for _ in range(3)]

    def __call__(self, words: mx.array) -> mx.array:
        return mx.concatenate([block(words) for block in self.layers])


class Block(nn.Module):
    def __init__(self, quantized: bool):
        super().__init__()
        self.embedding, self.linear = nn.Embedding(20, 32), nn.Linear(32, 32)
        self.experts, self.fused = SwitchLinear(32, 32, 3), FusedLinear(32, [12, 20])
        if quantized:
            self.embedding, self.linear = (layer.to_quantized(32, 4) for layer in (self.embedding, self.linear))
            self.experts, self.fused = (layer.to_quantized(32, 4) for layer in (self.experts, self.fused))

    def __call__(self, words: mx.array) -> mx.array:
        x = mx.tanh(self.linear(self.embedding(words)))
        x = x + self.experts(x[:, None], (words % 3)[:, None])[:, 0]
        return self.embedding.as_linear(mx.concatenate(self.fused(x), axis=-1))


def test_blocks_that_one_of_the_two_lacks_are_zero_there(saved):
    _, before, model, shape, folder = saved("olmo3", LoraShape(1, 3, 0.5))
    assert shape == LoraShape(2, 7, 0.5)
    tensors, frozen, new = mx.load(str(folder / WEIGHTS)), mx.load(str(before / WEIGHTS)), lora_tensors(model)
    assert tensors.keys() == frozen.keys() and len(new) == len(frozen) / 2
    for name, tensor in tensors.items():
        parts = (tensor[:, :4], tensor[:, 4:]) if name.endswith("lora_a") else (tensor[:4], tensor[4:])
        factor = 1.0 if name.endswith("lora_a") else FIRST.scale / 0.5
        assert mx.array_equal(parts[0], frozen[name] * factor)
        assert mx.array_equal(parts[1], new.get(name, mx.zeros(parts[1].shape)))


@pytest.mark.parametrize("architecture", ["llama", "olmo3", "mixtral"])
def test_new_layers_have_no_effect_before_training(bases, tmp_path, architecture):
    first = first_adapter(bases[architecture], FIRST, tmp_path / "first")
    model, _ = load_base(bases[architecture])
    frozen = load_adapter(model, first)
    expected = model(TEXT)
    add_adapter(model, frozen, LoraShape(-1, 3, FIRST.scale), 0.5, seed=3)
    assert mx.array_equal(model(TEXT), expected)
    model.train()  # the frozen layers have no dropout
    close(model(TEXT), expected, 1e-6)


@pytest.mark.parametrize("architecture", ["llama", "olmo3", "mixtral"])
@pytest.mark.parametrize("second", SECONDS, ids=str)
def test_gradients_are_those_of_the_new_part_of_the_one_adapter(saved, architecture, second):
    base, _, model, _, folder = saved(architecture, second)
    one, _ = load_base(base)
    load_adapter(one, folder)
    batch = mx.concatenate([TEXT, TEXT[:, ::-1]]), mx.array([2, 3, 7, 9]), mx.array([1, 2, 3, 4]), mx.ones(4)
    found, expected = (dict(tree_flatten(nn.value_and_grad(m.train(), loss)(m, *batch)[1])) for m in (model, one))
    assert found.keys() == lora_tensors(model).keys()
    for name, gradient in found.items():
        whole = expected[name]
        axis = 1 if ".lora_a" in name else 0 if whole.ndim == 2 else 2
        close(gradient, mx.split(whole, [FIRST.rank], axis)[1], 1e-4)


@pytest.mark.parametrize("architecture", ["llama", "olmo3"])
def test_mlx_lm_reads_both_as_one(saved, architecture):
    from mlx_lm.utils import load

    base, _, model, _, folder = saved(architecture, LoraShape(-1, 3, 0.5))
    theirs, _ = load(str(base), adapter_path=str(folder))
    theirs.eval()
    close(theirs(TEXT), model(TEXT))


def test_mlx_lm_generates_with_both(saved):
    from mlx_lm import generate

    base, _, model, _, folder = saved("llama", LoraShape(1, 3, 0.5))
    options = ["--prompt", "Why?", "--max-tokens", "8", "--temp", "0", "--verbose", "False", "--ignore-chat-template"]
    command = [sys.executable, "-m", "mlx_lm", "generate", *options, "--model", base, "--adapter-path", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    _, tokenizer = load_base(base)
    model.eval()
    assert done.stdout.strip() == generate(model, tokenizer, "Why?", max_tokens=8).strip() != ""


def test_a_third_adapter_goes_on_top_of_two(saved, tmp_path):
    base, _, _, shape, folder = saved("olmo3", LoraShape(1, 3, 0.5))
    third = LoraShape(3, 2, 1.5)
    top, all_three = on_top(base, folder, third)
    assert all_three == LoraShape(3, shape.rank + 2, 1.5)
    close(top(TEXT), one_after_the_other(base, folder, third, lora_tensors(top))(TEXT))


@pytest.mark.parametrize(("first", "second", "both"), [(1, 2, 2), (2, 1, 2), (-1, 2, -1), (2, -1, -1)])
def test_layers_are_the_larger_number_or_all(first, second, both):
    model = layers(quantized=False)
    new_adapter(model, LoraShape(first, 1, 1.0), 0.0, seed=0)
    assert add_adapter(model, LoraShape(first, 1, 1.0), LoraShape(second, 2, 3.0), 0.0, seed=0) == LoraShape(both, 3, 3.0)
