"""What the model card is about. Pure."""

from dataclasses import dataclass
from typing import Any

from cantica.settings.tree import path_to


@dataclass(frozen=True)
class Card:
    """What the model card is about: the fused point, the steps on its path, and the arm whose results it shows.

    arm: the first that is at the fused point, or else the last of all. evaluated: whether it is at that point.
    files: {file that a step trained on: its categories}. shape: of the adapter.
    """

    point: str
    path: list[str]
    arm: str
    evaluated: bool
    files: dict[str, list[str]]
    shape: dict[str, float]


def model_card(params: dict[str, Any]) -> Card:
    """What the model card of these params is about."""
    point, curriculum = params["fuse"]["step"], params["curriculum"]
    path = path_to(point, curriculum)
    arms = [arm for arm, at in params["arms"].items() if at == point]
    files = {}
    for data in (curriculum[step]["data"] for step in path):
        folder, name = data.split("/")
        files[data] = [name] if folder == "train" else list(params["mixes"][name])
    shape = {key: curriculum[path[-1]].get(key, value) if path else value for key, value in params["lora"].items()}
    return Card(point, path, arms[0] if arms else list(params["arms"])[-1], bool(arms), files, shape)
