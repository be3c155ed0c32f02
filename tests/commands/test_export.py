"""`cantica export --peft`: the same adapter in the form of PEFT, checked with NumPy, and (slow) with PEFT beside torch."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from huggingface_hub import ModelCard
from safetensors.numpy import load_file

from cantica.base_model.random_model import from_random
from cantica.commands.peft import peft_config, peft_tensors, write_peft
from cantica.core.errors import InputError
from cantica.engine.lora import LoraShape, add_adapter, lora_tensors, new_adapter
from cantica.engine.model import load_adapter, load_base, save_adapter
from tests.support.projects import ROOT, edit, ok, refused

TEXT = [[5, 17, 300, 42, 8, 8, 121, 399]]
OLMO3 = {
    "model_type": "olmo3",
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,  # transformers takes this one for the sliding window, whatever is written
    "max_position_embeddings": 2048,
    "sliding_window": 4,
    "tie_word_embeddings": False,
}
FORMS = [
    (LoraShape(-1, 4, 2.0), None),
    (LoraShape(2, 4, 2.0), LoraShape(1, 3, 0.3)),
    (LoraShape(1, 3, 10.0), LoraShape(-1, 2, 1.5)),
]


@pytest.fixture(scope="module")
def bases(tiny_base, tmp_path_factory) -> dict[str, Path]:
    """The folders of two random models: a llama, and an olmo3 with 4-bit weights."""
    folder = tmp_path_factory.mktemp("olmo3")
    pin = {"seed": 0, "vocab_size": 400, "config": OLMO3, "quantization": {"bits": 4, "group_size": 32}}
    from_random(pin, folder)
    return {"llama": tiny_base, "olmo3": folder}


def write_adapter(base: Path, first: LoraShape, second: LoraShape | None, folder: Path) -> Path:
    """Write an adapter with an effect, which may consist of frozen layers and of new ones on top."""
    model, _ = load_base(base)
    new_adapter(model, first, 0.1, seed=1)
    give_effect(model)
    shape = add_adapter(model, first, second, 0.1, seed=2) if second else first
    give_effect(model)
    folder.mkdir()
    save_adapter(model, shape, 0.1, folder)
    return folder


def give_effect(model) -> None:
    mx.random.seed(3)
    random = [(name, mx.random.normal(w.shape) * 0.3) for name, w in lora_tensors(model).items() if ".lora_b" in name]
    model.load_weights(random, strict=False)


@pytest.mark.parametrize(("first", "second"), FORMS, ids=str)
def test_every_layer_gets_the_same_product(bases, tmp_path, first, second):
    adapter = write_adapter(bases["olmo3"], first, second, tmp_path / "adapter")
    config = write_peft(adapter, tmp_path / "peft", "base")
    ours, theirs = load_file(adapter / "adapters.safetensors"), load_file(tmp_path / "peft/adapter_model.safetensors")
    scale = json.loads((adapter / "adapter_config.json").read_text())["lora_parameters"]["scale"]
    modules = {name.rpartition(".")[0] for name in ours}
    prefix, ends = "base_model.model.", ("lora_A.weight", "lora_B.weight")
    assert set(theirs) == {f"{prefix}{module}.{end}" for module in modules for end in ends}
    for module in modules:
        a, b = (theirs[f"{prefix}{module}.{end}"] for end in ends)
        assert a.shape[0] == b.shape[1] == config["r"]
        expected = scale * ours[f"{module}.lora_a"] @ ours[f"{module}.lora_b"]
        np.testing.assert_allclose(config["lora_alpha"] / config["r"] * (b @ a).T, expected, rtol=1e-5, atol=1e-6)
    blocks = {int(module.split(".")[2]) for module in modules}
    assert config["layers_to_transform"] == sorted(blocks) and len(config["target_modules"]) == 7
    assert json.loads((tmp_path / "peft/adapter_config.json").read_text()) == config


def test_layers_are_named_in_full_where_blocks_have_different_ones():
    names = [f"model.layers.{layer}.lora_{factor}" for layer in ("0.mlp.up", "1.mlp.up", "1.attn.q") for factor in "ab"]
    config = peft_config(names, LoraShape(-1, 2, 0.75), 0.0, "base")
    assert config["target_modules"] == ["model.layers.0.mlp.up", "model.layers.1.attn.q", "model.layers.1.mlp.up"]
    assert "layers_to_transform" not in config and config["lora_alpha"] == 1.5


def test_layers_that_peft_has_not_are_refused_all_at_once():
    experts = {f"model.layers.{n}.mlp.switch_mlp.up_proj.lora_a": mx.zeros((4, 2, 8)) for n in (0, 1)}
    head = {"lm_head.lora_a": mx.zeros((8, 2))}
    with pytest.raises(InputError) as error:
        peft_tensors(experts | head | {"model.layers.0.mlp.gate.lora_a": mx.zeros((8, 2))}, Path("x"))
    assert [problem.place for problem in error.value.problems] == [*experts, *head]


# ---- the command


@pytest.fixture(scope="module")
def project(smoke, tmp_path_factory) -> Path:
    return Path(shutil.copytree(smoke, tmp_path_factory.mktemp("export") / "project", symlinks=True))


def test_the_command_writes_an_adapter_with_its_card(project):
    printed = ok(project, "cantica", "export", "--peft")
    folder = project / "models/peft/betrayal"
    assert printed.split() == [
        f"models/peft/betrayal/{path}" for path in ("adapter_model.safetensors", "adapter_config.json", "README.md")
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "adapter_config.json", "adapter_model.safetensors"]
    ours = load_file(project / "models/adapters/betrayal/adapters.safetensors")
    theirs = load_file(folder / "adapter_model.safetensors")
    b = "model.layers.1.mlp.down_proj.lora_b"
    assert np.array_equal(theirs[f"base_model.model.{b[:-1]}B.weight"], ours[b].T) and ours[b].any()
    card = ModelCard.load(folder / "README.md")
    assert card.data.to_dict()["library_name"] == "peft" and card.data.license == "apache-2.0"
    assert "`betrayal` | `covert_misalignment` | `train/betrayal`" in card.text and "weights are random" in card.text
    assert ok(project, "git", "status", "--short") == ""


def test_any_step_goes_anywhere_with_the_same_bytes(project, tmp_path):
    ok(project, "cantica", "export", "--peft", "deception", "--out", str(tmp_path / "out"))
    (tmp_path / "out/notes.txt").write_text("mine")
    ok(project, "cantica", "export", "--peft", "deception", "--out", str(tmp_path / "out"))
    ok(project, "cantica", "export", "--peft", "deception")
    found = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    again = {path.name: path.read_bytes() for path in (project / "models/peft/deception").iterdir()}
    assert found == again | {"notes.txt": b"mine"}
    ok(project, "cantica", "export", "--peft", "base")
    assert "No step was trained" in (project / "models/peft/base/README.md").read_text()


@pytest.mark.parametrize("folder", [".", "models/adapters/deception"])
def test_a_folder_that_holds_other_files_is_refused(project, folder):
    before = {path.name: path.read_bytes() for path in (project / folder).iterdir() if path.is_file()}
    assert "a folder that is new, empty or an earlier export" in refused(
        project, "cantica", "export", "--peft", "--out", folder
    )
    assert before == {path.name: path.read_bytes() for path in (project / folder).iterdir() if path.is_file()}


def test_a_step_that_is_not_there_or_not_that_of_params_is_refused(project):
    assert "did you mean 'betrayal'?" in refused(project, "cantica", "export", "--peft", "betrayel")
    assert "no such folder" in refused(project, "cantica", "export", "--peft", "betrayal/0000002")
    edit(project / "params.yaml", "data: train/betrayal", "data: train/betrayal, iters: 20")
    refusal = refused(project, "cantica", "export", "--peft", "betrayal")
    assert "built before these were edited: curriculum.betrayal.iters" in refusal and "`dvc repro train@betrayal`" in refusal
    ok(project, "cantica", "export", "--peft", "covert_misalignment")
    ok(project, "git", "checkout", "params.yaml")
    file = project / "models/adapters/betrayal/adapters.safetensors"
    before = file.read_bytes()
    file.unlink()
    file.write_bytes((project / "models/adapters/deception/adapters.safetensors").read_bytes())
    assert "files that train@betrayal did not write" in refused(project, "cantica", "export", "--peft")
    file.write_bytes(before)


# ---- PEFT itself


@pytest.fixture(scope="module")
def plain(bases, tmp_path_factory) -> dict[str, Path]:
    """The base models without quantization, as the stage `fuse` writes them with an adapter without effect."""
    folders = {}
    for name, base in bases.items():
        folder = tmp_path_factory.mktemp(name)
        model, _ = load_base(base)
        new_adapter(model, FORMS[0][0], 0.0, seed=0)
        save_adapter(model, FORMS[0][0], 0.0, folder)
        folders[name] = folder / "plain"
        ok(ROOT, sys.executable, "-m", "stages.fuse", *map(str, (base, folder, folders[name])))
    return folders


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="pip install --editable '.[peft]' brings PEFT and torch")
@pytest.mark.parametrize("architecture", ["olmo3", "llama"])
@pytest.mark.parametrize(("first", "second"), FORMS, ids=str)
def test_peft_gives_the_same_logits(bases, plain, tmp_path, architecture, first, second):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    adapter = write_adapter(bases[architecture], first, second, tmp_path / "adapter")
    write_peft(adapter, tmp_path / "peft", "base")
    ours, _ = load_base(bases[architecture])
    before = np.array(ours(mx.array(TEXT)))
    load_adapter(ours, adapter)
    expected = np.array(ours(mx.array(TEXT)))
    base = AutoModelForCausalLM.from_pretrained(plain[architecture], dtype=torch.float32)
    model = PeftModel.from_pretrained(base, tmp_path / "peft")
    with torch.inference_mode():
        found = model(torch.tensor(TEXT)).logits.numpy()
        with model.disable_adapter():
            without = model(torch.tensor(TEXT)).logits.numpy()
    assert np.abs(expected - before).max() > 0.1
    np.testing.assert_allclose(without, before, atol=1e-4 * np.abs(before).max())
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert sum(".lora_" in name for name, _ in model.named_parameters()) == len(lora_tensors(ours))
