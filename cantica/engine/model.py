"""Load the base model and put LoRA adapters on it."""

import ctypes
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten
from mlx_lm import load
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import dequantize_model

from cantica.core.documents import raise_any, read_json
from cantica.core.errors import InputError, Problem
from cantica.engine import cpu_kernels

CONFIG, WEIGHTS = "adapter_config.json", "adapters.safetensors"


@dataclass(frozen=True)
class LoraShape:
    """What the tensors of an adapter follow from: adapted blocks (from the output; -1 for all), rank and scale."""

    layers: int
    rank: int
    scale: float


def load_base(folder: Path):
    """(model, tokenizer) of a folder in mlx-lm's layout, frozen.

    On a CPU, where 16-bit and 4-bit products are slow, the weights become float32 in memory. Raises InputError.
    """
    for name in ("config.json", "tokenizer_config.json"):
        read_json(folder / name)
    if not list(folder.glob("model*.safetensors")):
        raise InputError(Problem(str(folder), "", "no model*.safetensors", "a model's weights", "run `dvc repro base`"))
    # Buffers that are given back and mapped again cost a page fault for each page.
    mx.set_cache_limit(8 << 30)
    model, tokenizer = load(str(folder))
    if mx.default_device() == mx.cpu:
        _require_openblas()
        mx.disable_compile()  # compiled kernels would depend on the machine's C++ compiler
        cpu_kernels.install()
        model = dequantize_model(model)
        model.set_dtype(mx.float32)
    model.freeze()
    mx.eval(model.parameters())
    return model, tokenizer


def _require_openblas() -> None:
    """Raise InputError on a Linux CPU where MLX computes with its reference BLAS: other numbers, 30 times as slowly."""
    if sys.platform == "linux" and not hasattr(ctypes.CDLL(None), "openblas_get_config"):
        raise InputError(Problem(sys.prefix, "", "MLX with its reference BLAS", "MLX with OpenBLAS", "run `make setup`"))


def new_adapter(model: nn.Module, shape: LoraShape, dropout: float, seed: int) -> None:
    """Put LoRA layers whose effect is zero (B = 0) on a frozen model; A is drawn with the seed."""
    mx.random.seed(seed)
    linear_to_lora_layers(model, shape.layers, _lora_parameters(shape, dropout))


def load_adapter(model: nn.Module, folder: Path, dropout: float = 0.0) -> LoraShape:
    """Put an adapter's LoRA layers on a frozen model. Every tensor of one must have its place in the other.

    Raises InputError that lists each tensor that is missing, unknown or of another shape, or not finite.
    """
    shape = read_shape(folder)
    new_adapter(model, shape, dropout, seed=0)
    load_weights(model, folder)
    return shape


def load_weights(model: nn.Module, folder: Path) -> None:
    """Put an adapter's tensors in the place of those on a model. Raises InputError as `load_adapter` does."""
    weights = _read_weights(folder)
    raise_any(mismatches(weights, dict(tree_flatten(model.trainable_parameters())), folder / WEIGHTS))
    model.load_weights(list(weights.items()), strict=False)


def checkpoints(folder: Path) -> dict[int, Path]:
    """The folders of a step's checkpoints, each an adapter, by their iteration, in the folder of the step's adapter.

    They are part of the step's output, which DVC hashes whole: nothing else can lie there.
    """
    return {int(path.name): path for path in sorted(folder.glob("[0-9]" * 7))}


def checkpoint_name(iteration: int) -> str:
    """The name of a checkpoint's folder, as mlx-lm counts its own."""
    return f"{iteration:07d}"


def _read_weights(folder: Path) -> dict[str, mx.array]:
    try:
        return mx.load(str(folder / WEIGHTS))
    except (RuntimeError, ValueError, FileNotFoundError) as error:
        got, hint = str(error).splitlines()[0], "run `dvc repro` for the step that writes it"
        raise InputError(Problem(str(folder / WEIGHTS), "", got, "an adapter's tensors", hint)) from None


def read_shape(folder: Path) -> LoraShape:
    """The LoraShape that an adapter's configuration gives. Raises InputError."""
    config = read_json(folder / CONFIG)
    try:
        return LoraShape(config["num_layers"], config["lora_parameters"]["rank"], config["lora_parameters"]["scale"])
    except (KeyError, TypeError) as error:
        expected = "num_layers, lora_parameters.rank and lora_parameters.scale"
        raise InputError(Problem(str(folder / CONFIG), "", f"no {error}", expected)) from None


def mismatches(found: dict[str, mx.array], expected: dict[str, mx.array], file: Path) -> list[Problem]:
    """A Problem for each tensor by which an adapter's file and a model's LoRA layers differ."""
    problems = []
    for name in sorted(found.keys() | expected.keys()):
        if name not in found:
            problems.append(Problem(str(file), name, "no such tensor", f"shape {expected[name].shape}"))
        elif name not in expected:
            problems.append(Problem(str(file), name, f"shape {found[name].shape}", "no such tensor"))
        elif found[name].shape != expected[name].shape:
            problems.append(Problem(str(file), name, f"shape {found[name].shape}", f"shape {expected[name].shape}"))
        elif not mx.isfinite(found[name]).all():
            problems.append(Problem(str(file), name, "values that are not finite", "finite values"))
    return problems


def has_no_effect(folder: Path) -> bool:
    """Whether an adapter leaves the model as it is: every B is zero."""
    weights = _read_weights(folder)
    return not any(mx.any(w != 0).item() for name, w in weights.items() if name.endswith("lora_b"))


def save_adapter(model: nn.Module, shape: LoraShape, dropout: float, folder: Path) -> None:
    """Write the model's LoRA tensors and the configuration that mlx-lm's readers need, and no more."""
    save_weights(model, folder / WEIGHTS)
    config = {
        "fine_tune_type": "lora",
        "num_layers": shape.layers,
        "lora_parameters": _lora_parameters(shape, dropout),
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def save_weights(model: nn.Module, file: Path) -> None:
    """Write the model's LoRA tensors in order of name."""
    weights = dict(sorted(tree_flatten(model.trainable_parameters())))
    mx.save_safetensors(str(file), weights, metadata={"format": "mlx"})


def _lora_parameters(shape: LoraShape, dropout: float) -> dict:
    return {"rank": shape.rank, "scale": shape.scale, "dropout": dropout}
