"""Decide which model, training steps and arm the model card describes. Pure."""

from dataclasses import dataclass
from typing import Any

from cantica.settings.tree import path_to


@dataclass(frozen=True)
class Card:
    """What the model card describes: the fused point, the training steps from base to it, and the arm whose results are shown.

    arm: the first arm at the fused point, or the last arm of all if none is there. evaluated: whether an arm is there.
    files: {file that a step trained on: its categories}. shape: LoRA settings of the adapter.
    """

    point: str
    path: list[str]
    arm: str
    evaluated: bool
    files: dict[str, list[str]]
    shape: dict[str, float]


def model_card(params: dict[str, Any]) -> Card:
    """Return what the model card for these params describes."""
    point, curriculum = params["fuse"]["step"], params["curriculum"]
    path = path_to(point, curriculum)
    arms = [arm for arm, at in params["arms"].items() if at == point]
    files = {}
    for data in (curriculum[step]["data"] for step in path):
        folder, name = data.split("/")
        files[data] = [name] if folder == "train" else list(params["mixes"][name])
    shape = {key: curriculum[path[-1]].get(key, value) if path else value for key, value in params["lora"].items()}
    return Card(point, path, arms[0] if arms else list(params["arms"])[-1], bool(arms), files, shape)
