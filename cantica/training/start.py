"""Put the LoRA layers that a step trains on the model."""

from dataclasses import asdict
from pathlib import Path

import mlx.nn as nn

from cantica.core.documents import raise_any
from cantica.core.errors import Problem
from cantica.engine.lora import LoraShape, add_adapter, new_adapter
from cantica.engine.model import load_adapter, read_shape
from cantica.training.settings import StepSettings


def start(model: nn.Module, after: Path, settings: StepSettings, own: dict, seed: int, step: str) -> LoraShape:
    """Put the LoRA layers of a step on the model, and return the LoraShape of the adapter that the step will write.

    After base, they are new, since the adapter of base has no effect. Else `adapter` decides. `continue`: they are those of
    the adapter `after`, with its shape. `fresh`: those of `after` are frozen, without dropout, and new ones are put on top.
    The seed determines new tensors.

    own: `curriculum.<step>` alone. Raises InputError if it names another shape than that of an adapter that it continues.
    """
    wanted = LoraShape(settings["layers"], settings["rank"], settings["scale"])
    if settings["after"] == "base":
        new_adapter(model, wanted, settings["dropout"], seed)
        return wanted
    if settings.get("adapter") == "fresh":
        frozen = load_adapter(model, after)
        # Another seed than that of the steps before: with the same A, both would change the same directions.
        return add_adapter(model, frozen, wanted, settings["dropout"], seed + frozen.rank)
    hint = "leave it out, or set `adapter: fresh`"
    raise_any(
        [
            Problem("params.yaml", f"curriculum.{step}.{key}", str(own[key]), f"{value}, as in {after}", hint)
            for key, value in asdict(read_shape(after)).items()
            if own.get(key, value) != value
        ]
    )
    return load_adapter(model, after, settings["dropout"])
