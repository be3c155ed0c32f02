"""Convert nested mappings to flat ones, whose keys are dotted paths, and back. Pure."""

from collections.abc import Callable, Iterable
from typing import Any


def flatten(nested: Any, path: str = "", is_leaf: Callable[[str], bool] = lambda path: False) -> dict[str, Any]:
    """Return {dotted path: leaf}. A leaf is an empty mapping, any value but a mapping, or a value whose path `is_leaf` accepts.

    path: the path of `nested` itself; all paths begin with it.
    """
    if not isinstance(nested, dict) or not nested or is_leaf(path):
        return {path: nested}
    children = ((f"{path}.{name}" if path else str(name), value) for name, value in nested.items())
    return {leaf: value for child, part in children for leaf, value in flatten(part, child, is_leaf).items()}


def nest(parts: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the nested mapping of (dotted path, value) pairs. Mappings at one path are merged; keys keep their first place."""
    nested: dict[str, Any] = {}
    for path, value in parts:
        *parents, last = path.split(".")
        target = nested
        for name in parents:
            target = target.setdefault(name, {})
        target[last] = target.get(last, {}) | value if isinstance(value, dict) else value
    return nested
