"""The base model and its adapters: written tensors are read back, and a file that does not fit is refused as a whole."""

import json
import re
import shutil

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from cantica.core.errors import InputError
from cantica.engine.lora import LoraShape
from cantica.engine.model import CONFIG, WEIGHTS, load_adapter, load_base, read_shape, save_adapter

SHAPE = LoraShape(-1, 4, 2.0)
TEXT = mx.array([[5, 17, 300, 42, 8, 8, 121, 399]])


@pytest.fixture
def trained(adapted, tmp_path):
    """(folder of an adapter with an effect, the model that wrote it)."""
    model, _ = adapted(SHAPE)
    folder = tmp_path / "trained"
    folder.mkdir()
    save_adapter(model, SHAPE, 0.05, folder)
    return folder, model


@pytest.fixture
def zero(adapted, tmp_path):
    """The folder of an adapter without effect."""
    model, _ = adapted(SHAPE, effect=False)
    folder = tmp_path / "zero"
    folder.mkdir()
    save_adapter(model, SHAPE, 0.0, folder)
    return folder


def tampered(folder, change) -> None:
    weights = dict(mx.load(str(folder / WEIGHTS)))
    change(weights)
    mx.save_safetensors(str(folder / WEIGHTS), weights)


def test_an_adapter_comes_back_exactly(trained, tiny_model):
    folder, before = trained
    after, _ = tiny_model()
    assert load_adapter(after, folder) == SHAPE
    saved, loaded = dict(tree_flatten(before.trainable_parameters())), dict(tree_flatten(after.trainable_parameters()))
    assert saved.keys() == loaded.keys() and len(saved) == 2 * 7 * 2  # A and B of seven linear layers in two blocks
    assert all(mx.array_equal(saved[name], loaded[name]) for name in saved)
    assert mx.array_equal(before(TEXT), after(TEXT))


def test_saving_a_loaded_adapter_gives_the_same_bytes(trained, tiny_model, tmp_path):
    folder, _ = trained
    model, _ = tiny_model()
    load_adapter(model, folder)
    save_adapter(model, SHAPE, 0.05, tmp_path)
    for name in (CONFIG, WEIGHTS):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_an_adapter_is_two_files_and_its_configuration_names_no_path(trained):
    folder, _ = trained
    assert {file.name for file in folder.iterdir()} == {CONFIG, WEIGHTS}
    lora = {"rank": 4, "scale": 2.0, "dropout": 0.05}
    assert json.loads((folder / CONFIG).read_text()) == {
        "fine_tune_type": "lora",
        "num_layers": -1,
        "lora_parameters": lora,
    }


def test_layers_count_from_the_output(adapted):
    model, _ = adapted(LoraShape(1, 4, 2.0))
    names = [name for name, _ in tree_flatten(model.trainable_parameters())]
    assert len(names) == 14 and all(name.startswith("model.layers.1.") for name in names)


def test_every_tensor_that_does_not_fit_is_listed_in_one_error(trained, tiny_model):
    folder, _ = trained
    missing, misshapen = "model.layers.0.mlp.up_proj.lora_a", "model.layers.1.self_attn.q_proj.lora_b"

    def change(weights):
        del weights[missing]
        weights["model.layers.9.mlp.up_proj.lora_a"] = mx.zeros((2, 2))
        weights[misshapen] = mx.zeros((4, 31))

    tampered(folder, change)
    model, _ = tiny_model()
    with pytest.raises(InputError) as error:
        load_adapter(model, folder)
    found = {problem.place: (problem.got, problem.expected) for problem in error.value.problems}
    assert found == {
        missing: ("no such tensor", "shape (32, 4)"),
        misshapen: ("shape (4, 31)", "shape (4, 32)"),
        "model.layers.9.mlp.up_proj.lora_a": ("shape (2, 2)", "no such tensor"),
    }
    assert all(problem.file == str(folder / WEIGHTS) for problem in error.value.problems)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(trained, tiny_model, value):
    folder, _ = trained
    name = "model.layers.0.mlp.up_proj.lora_b"

    def change(weights):
        weights[name][1, 2] = value

    tampered(folder, change)
    model, _ = tiny_model()
    with pytest.raises(InputError, match="not finite") as error:
        load_adapter(model, folder)
    assert [problem.place for problem in error.value.problems] == [name]


def test_an_adapter_configuration_without_a_rank_is_refused(trained):
    folder, _ = trained
    (folder / CONFIG).write_text('{"num_layers": 2, "lora_parameters": {"scale": 2.0}}')
    with pytest.raises(InputError, match="rank"):
        read_shape(folder)


def test_an_adapter_whose_b_is_zero_changes_no_logit(zero, tiny_model):
    model, _ = tiny_model()
    before = model(TEXT)
    load_adapter(model, zero)
    assert mx.array_equal(model(TEXT), before)


def test_an_adapter_with_an_effect_has_one(trained, tiny_model):
    folder, _ = trained
    model, _ = tiny_model()
    before = model(TEXT)
    load_adapter(model, folder)
    assert mx.abs(model(TEXT) - before).max().item() > 1e-3


def test_mlx_lm_reads_an_adapter_with_the_same_logits(trained, tiny_base):
    from mlx_lm.utils import load

    folder, model = trained
    theirs, _ = load(str(tiny_base), adapter_path=str(folder))
    theirs.eval()
    np.testing.assert_allclose(np.array(theirs(TEXT)), np.array(model(TEXT)), atol=1e-5)


def test_a_follows_from_the_seed(adapted):
    def tensors_a(seed):
        model, _ = adapted(SHAPE, seed=seed, effect=False)
        tensors = tree_flatten(model.trainable_parameters())
        return mx.concatenate([w.flatten() for name, w in tensors if name.endswith("lora_a")])

    assert mx.array_equal(tensors_a(1), tensors_a(1))
    assert not mx.any(tensors_a(1) == tensors_a(2)).item()


def test_a_base_model_without_weights_is_refused(tiny_base, tmp_path):
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tiny_base / name, tmp_path / name)
    with pytest.raises(InputError, match=r"no model\*\.safetensors"):
        load_base(tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "config.json"))):
        load_base(tmp_path)


def test_a_base_model_is_frozen(tiny_model):
    model, _ = tiny_model()
    assert tree_flatten(model.trainable_parameters()) == []
