"""Load the base model, put adapters on it, and write adapters, all in mlx-lm's layout."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

import mlx.core as mx
import mlx.nn as nn
from mlx_lm import load

from cantica.core.documents import raise_any, read_json
from cantica.core.errors import InputError, Problem
from cantica.engine.backend.device import prepare, to_float32
from cantica.engine.lora import LoraShape, adapter_tensors, lora_tensors, new_adapter

if TYPE_CHECKING:
    from mlx_lm.tokenizer_utils import TokenizerWrapper

CONFIG, WEIGHTS = "adapter_config.json", "adapters.safetensors"


def load_base(folder: Path) -> tuple[nn.Module, "TokenizerWrapper"]:
    """Return (frozen model, tokenizer) of a folder in mlx-lm's layout. On a CPU the weights become float32 in memory.

    Raises InputError if a file is missing or unreadable.
    """
    for name in ("config.json", "tokenizer_config.json"):
        read_json(folder / name)
    if not list(folder.glob("model*.safetensors")):
        raise InputError(Problem(str(folder), "", "no model*.safetensors", "a model's weights", "run `dvc repro base`"))
    model, tokenizer, *_ = load(str(folder))
    prepare()
    model = to_float32(model)
    model.freeze()
    mx.eval(model.parameters())
    return model, tokenizer


def load_adapter(model: nn.Module, folder: Path, dropout: float = 0.0) -> LoraShape:
    """Put an adapter's LoRA layers on a frozen model, and return their LoraShape.

    Raises InputError with a Problem for each tensor that is missing, unknown, of another shape or not finite.
    """
    shape = read_shape(folder)
    new_adapter(model, shape, dropout, seed=0)
    load_weights(model, folder)
    return shape


def load_weights(model: nn.Module, folder: Path) -> None:
    """Replace the LoRA tensors of a model by those of an adapter. Raises InputError as `load_adapter` does."""
    weights = _read_weights(folder)
    raise_any(mismatches(weights, lora_tensors(model), folder / WEIGHTS))
    model.load_weights(list(weights.items()), strict=False)


def checkpoints(folder: Path) -> dict[int, Path]:
    """Return {iteration: folder of the adapter that was kept after it}, all inside the folder of the step's adapter.

    They are part of the step's output. DVC hashes this output as a whole, so nothing else can be in it.
    """
    return {int(path.name): path for path in sorted(folder.glob("[0-9]" * 7))}


def checkpoint_name(iteration: int) -> str:
    """Return the name of a checkpoint's folder: the iteration in seven digits, as in mlx-lm."""
    return f"{iteration:07d}"


def _read_weights(folder: Path) -> dict[str, mx.array]:
    try:
        return cast(dict[str, mx.array], mx.load(str(folder / WEIGHTS)))
    except (RuntimeError, ValueError, FileNotFoundError) as error:
        got, hint = str(error).splitlines()[0], "run `dvc repro` for the step that writes it"
        raise InputError(Problem(str(folder / WEIGHTS), "", got, "an adapter's tensors", hint)) from None


def read_shape(folder: Path) -> LoraShape:
    """Return the LoraShape in an adapter's configuration. Raises InputError."""
    config = read_json(folder / CONFIG)
    try:
        return LoraShape(config["num_layers"], config["lora_parameters"]["rank"], config["lora_parameters"]["scale"])
    except (KeyError, TypeError) as error:
        expected = "num_layers, lora_parameters.rank and lora_parameters.scale"
        raise InputError(Problem(str(folder / CONFIG), "", f"no {error}", expected)) from None


def mismatches(found: dict[str, mx.array], expected: dict[str, mx.array], file: Path) -> list[Problem]:
    """Return a Problem for each tensor of a file that does not fit the LoRA layers of a model or is not finite."""
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


def save_adapter(model: nn.Module, shape: LoraShape, dropout: float, folder: Path) -> None:
    """Write the model's LoRA tensors, as `save_weights` does, and their configuration with the keys that mlx-lm reads."""
    save_weights(model, folder / WEIGHTS)
    config = {
        "fine_tune_type": "lora",
        "num_layers": shape.layers,
        "lora_parameters": shape.parameters(dropout),
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def save_weights(model: nn.Module, file: Path) -> None:
    """Write the model's LoRA tensors as those of one adapter, sorted by name."""
    mx.save_safetensors(str(file), dict(sorted(adapter_tensors(model).items())), metadata={"format": "mlx"})
