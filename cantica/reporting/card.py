"""Decide which model, training steps and arm the model card describes. Pure."""

from dataclasses import dataclass
from typing import Any

from cantica.dataset.operations import Operations, operations_of
from cantica.settings.tree import adapter_shape, files_of, path_to


@dataclass(frozen=True)
class Card:
    """What the model card describes: the fused point, the training steps from base to it, and the arm whose results are shown.

    arm: the first arm at the fused point, or the last of `arms` if none is there. evaluated: whether an arm is there.
    categories, samples: the names of those that the steps trained on. operations: those on the data of each category.
    shape: layers, rank and scale of the adapter.
    """

    point: str
    path: list[str]
    arm: str
    evaluated: bool
    categories: list[str]
    samples: list[str]
    operations: dict[str, Operations]
    shape: dict[str, float]


def model_card(params: dict[str, Any]) -> Card:
    """Return what the model card for these params describes."""
    point, curriculum = params["fuse"]["step"], params["curriculum"]
    path = path_to(point, curriculum)
    arms = [arm for arm, own in params["arms"].items() if own["point"] == point and not own.get("system")]
    files = [file for step in path for file in files_of(curriculum[step]["data"], params["mixes"])]
    names = {
        folder: list(dict.fromkeys(file.partition("/")[2] for file in files if file.startswith(f"{folder}/")))
        for folder in ("train", "samples")
    }
    shape = adapter_shape(params, path[-1]) if path else {key: params["lora"][key] for key in ("layers", "rank", "scale")}
    arm = arms[0] if arms else list(params["arms"])[-1]
    operations = {category: operations_of(category, params["data"]) for category in names["train"]}
    return Card(point, path, arm, bool(arms), names["train"], names["samples"], operations, shape)
