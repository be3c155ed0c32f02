"""Put the adapter that a step starts from on the model."""

from pathlib import Path

import mlx.nn as nn

from cantica.core.errors import InputError, Problem
from cantica.engine.model import LoraShape, has_no_effect, load_adapter, new_adapter, read_shape
from cantica.training.settings import StepSettings


def start(model: nn.Module, after: Path, settings: StepSettings, seed: int, step: str) -> LoraShape:
    """Put LoRA layers with the tensors of the adapter `after` on the model, and return their LoraShape.

    If `after` has no effect on the model, there is nothing to continue. The step may then have another shape, and gets new
    tensors, which the seed determines. Raises InputError if the shape differs and `after` has an effect.
    """
    wanted = LoraShape(settings["layers"], settings["rank"], settings["scale"])
    if read_shape(after) == wanted:
        return load_adapter(model, after, settings["dropout"])
    if not has_no_effect(after):
        got, expected = f"layers, rank, scale: {wanted}", f"those of the adapter it continues, {read_shape(after)}"
        raise InputError(Problem("params.yaml", f"curriculum.{step}", got, expected))
    new_adapter(model, wanted, settings["dropout"], seed)
    return wanted
