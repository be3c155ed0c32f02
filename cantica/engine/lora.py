"""LoRA layers on the base model: new ones, or new ones on top of those of an adapter (`adapter: fresh`)."""

import re
from dataclasses import dataclass
from typing import cast

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_map, tree_unflatten
from mlx_lm.tuner.utils import linear_to_lora_layers

Tensors = dict[str, mx.array]


@dataclass(frozen=True)
class LoraShape:
    """What determines an adapter's tensors and their effect: the number of adapted blocks, the rank and the scale."""

    layers: int  # number of blocks, counted from the output; -1 for all
    rank: int
    scale: float

    def parameters(self, dropout: float) -> dict[str, float]:
        """Return `lora_parameters` of mlx-lm's configurations."""
        return {"rank": self.rank, "scale": self.scale, "dropout": dropout}


def new_adapter(model: nn.Module, shape: LoraShape, dropout: float, seed: int) -> None:
    """Put LoRA layers without effect on a frozen model: B is zero, and A is random, determined by the seed."""
    mx.random.seed(seed)
    linear_to_lora_layers(model, shape.layers, shape.parameters(dropout))


def add_adapter(model: nn.Module, frozen: LoraShape, new: LoraShape, dropout: float, seed: int) -> LoraShape:
    """Freeze the LoRA layers of a model, put new ones on top, and return the LoraShape of both as one adapter.

    Two low-rank products are one of the summed rank, with the scale of the new one:
    s1 A1 B1 + s2 A2 B2 = s2 [A1 A2] [s1/s2 B1; B2]. So the frozen B is multiplied by s1/s2.
    """
    old_layers = _lora_layers(model)
    _replace(model, {name: layer[_inner(layer)] for name, layer in old_layers.items()})
    new_adapter(model, new, dropout, seed)
    new_layers = _lora_layers(model)
    for name, layer in old_layers.items():
        layer.freeze()
        layer.lora_b = tree_map(lambda b: b * (frozen.scale / new.scale), layer.lora_b)
        layer.scale = new.scale
        if name in new_layers:
            setattr(new_layers[name], _inner(layer), layer)
    _replace(model, {name: layer for name, layer in old_layers.items() if name not in new_layers})
    layers = -1 if -1 in (frozen.layers, new.layers) else max(frozen.layers, new.layers)
    return LoraShape(layers, frozen.rank + new.rank, new.scale)


def lora_tensors(model: nn.Module) -> Tensors:
    """Return the LoRA tensors that can be trained, by name. Nothing else in the model can."""
    return cast(Tensors, dict(tree_flatten(model.trainable_parameters())))


def adapter_tensors(model: nn.Module) -> Tensors:
    """Return the tensors of one adapter with the effect of all LoRA layers of a model, frozen ones too, by name.

    A block that has only frozen or only new layers gets zeros for the others.
    """
    new, frozen = lora_tensors(model), {}
    for name, tensor in cast(Tensors, dict(tree_flatten(model.parameters()))).items():
        if name not in new and re.search(r"\.lora_[ab]\b", name):
            outer = re.sub(r"\.(linear|embedding)(?=\.lora_[ab]\b)", "", name)
            frozen[outer if outer in new else name] = tensor
    return _join(frozen, new) if frozen else new


def _lora_layers(model: nn.Module) -> dict[str, nn.Module]:
    return {name: module for name, module in model.named_modules() if "lora_a" in module}


def _inner(layer: nn.Module) -> str:
    """Return the name under which a LoRA layer has the layer that it adapts."""
    return "embedding" if "embedding" in layer else "linear"


def _replace(model: nn.Module, layers: dict[str, nn.Module]) -> None:
    model.update_modules(cast(dict, tree_unflatten(list(layers.items()))))


def _join(frozen: Tensors, new: Tensors) -> Tensors:
    """Return every tensor of both, joined along the axis of the rank, with zeros for one that is missing."""
    both = (frozen, new)
    ranks = [next(tensor.shape[_rank_axis(name, tensor)] for name, tensor in tensors.items()) for tensors in both]
    joined = {}
    for name, other in (frozen | new).items():
        axis = _rank_axis(name, other)
        missing = [mx.zeros((*other.shape[:axis], rank, *other.shape[axis + 1 :]), other.dtype) for rank in ranks]
        parts = [tensors.get(name, zeros) for tensors, zeros in zip(both, missing, strict=True)]
        joined[name] = mx.concatenate(parts, axis)
    return joined


def _rank_axis(name: str, tensor: mx.array) -> int:
    """Return the axis of the rank R. Shapes of A: IR, or ERI with E experts; of B: RO, or EOR."""
    return 1 if ".lora_a" in name else 0 if tensor.ndim == 2 else 2
