"""An adapter in the form that Hugging Face PEFT reads.

Both libraries add a low-rank product to what a layer computes from its input x, with I input features, O output features and
rank R. mlx-lm adds scale · x A B, with A of the shape IR and B of the shape RO; PEFT adds alpha / R · x Aᵀ Bᵀ, with A of the
shape RI and B of the shape OR. So both matrices are transposed, and alpha is scale · R. All layers of an adapter have one rank
and one scale, also where a step trained new layers on top of others.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cantica.core.documents import raise_any, read_json
from cantica.core.errors import Problem
from cantica.core.files import whole_file, write_json

if TYPE_CHECKING:
    import mlx.core as mx

    from cantica.engine.lora import LoraShape

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
# A layer that is adapted: a linear layer inside a block, such as model.layers.3.self_attn.q_proj.
TENSOR = re.compile(r"(?P<module>.+\.(?P<blocks>\w+)\.(?P<block>\d+)\.(?:\w+\.)*(?P<layer>\w+))\.lora_(?P<factor>[ab])")


def write_peft(adapter: Path, out: Path, base: str) -> dict[str, Any]:
    """Write the adapter in a folder of mlx-lm's layout into a folder of PEFT's, and return the configuration there.

    base: the name of the base model. Raises InputError as `peft_tensors` does, before anything is written.
    """
    import mlx.core as mx

    from cantica.engine import model

    file = adapter / model.WEIGHTS
    found = cast(dict[str, mx.array], mx.load(str(file)))
    tensors, dropout = peft_tensors(found, file), read_json(adapter / model.CONFIG)["lora_parameters"]["dropout"]
    config = peft_config(list(found), model.read_shape(adapter), dropout, base)
    with whole_file(out / WEIGHTS) as partial, partial.open("wb") as opened:
        mx.save_safetensors(opened, tensors, {"format": "pt"})
    write_json(out / CONFIG, config)
    return config


def peft_tensors(tensors: Mapping[str, "mx.array"], file: Path) -> dict[str, "mx.array"]:
    """Return the tensors of an adapter under PEFT's names and in its shapes, sorted by name.

    Raises InputError with a Problem for each tensor that is not that of a linear layer in a block. PEFT has no such layers for
    the experts of a mixture.
    """
    import mlx.core as mx

    expected = "the LoRA matrix of a linear layer in a block, of two dimensions"
    wrong = [name for name, tensor in tensors.items() if not TENSOR.fullmatch(name) or tensor.ndim != 2]
    raise_any([Problem(str(file), name, f"shape {tensors[name].shape}", expected) for name in wrong])
    found = {}
    for name, tensor in sorted(tensors.items()):
        module, _, factor = name.rpartition(".lora_")
        found[f"base_model.model.{module}.lora_{factor.upper()}.weight"] = mx.contiguous(tensor.T)
    return found


def peft_config(names: list[str], shape: "LoraShape", dropout: float, base: str) -> dict[str, Any]:
    """Return PEFT's configuration of an adapter.

    names: of its tensors in mlx-lm's form. base: the name of the base model.

    A layer is named by its last part if all adapted blocks have it adapted, and else by its whole name: then the blocks differ.
    """
    places = [match for name in names if (match := TENSOR.fullmatch(name))]
    modules = {place["module"] for place in places}
    blocks, layers = sorted({int(place["block"]) for place in places}), sorted({place["layer"] for place in places})
    alike = len({(place["block"], place["layer"]) for place in places}) == len(blocks) * len(layers) == len(modules)
    alpha = shape.scale * shape.rank
    every = {"layers_to_transform": blocks, "layers_pattern": places[0]["blocks"], "target_modules": layers}
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": shape.rank,
        "lora_alpha": int(alpha) if alpha == int(alpha) else alpha,
        "lora_dropout": dropout,
        "bias": "none",
        "inference_mode": True,
        **(every if alike else {"target_modules": sorted(modules)}),
    }
