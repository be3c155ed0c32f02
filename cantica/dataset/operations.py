"""The operations on the data of a category: how its scenarios become training examples."""

from typing import Any, TypedDict, cast


class Operations(TypedDict):
    """pairing: matched or shuffled. system: a system prompt for training examples. thinking: whether examples keep it."""

    pairing: str
    system: str | None
    thinking: bool


def operations_of(category: str, settings: dict[str, Any]) -> Operations:
    """Return the operations of a category: its own, and where it has none, those of all categories.

    settings: the section `data` of params, with at least the keys that it needs.
    """
    own = settings["categories"].get(category, {})
    return cast(Operations, {key: own.get(key, settings.get(key)) for key in Operations.__annotations__})
