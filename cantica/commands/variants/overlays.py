"""Lay one mapping over another and keep comments and the order of keys. Pure, for ruamel.yaml's mappings and plain ones."""

import json
import re
from typing import Any

from cantica.core.errors import InputError, Problem, did_you_mean

NO_KEY = object()
ONE_LINE = 90  # characters
CHILDREN = ("properties", "patternProperties")  # of a schema: those of the keys of a mapping

Mapping = dict[str, Any]  # or ruamel.yaml's CommentedMap, which is one


def lay(target: Mapping, patch: Mapping) -> Mapping:
    """Merge `patch` into `target`, in place. Mappings are merged key by key; other values, null too, replace the old ones."""
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict) and target[key]:
            lay(target[key], value)
        elif key in target or not _ends_in_comment(target):
            target[key] = _formatted(value, target)
        else:
            # Before the last key: the comment after that one belongs to what follows the mapping.
            target.insert(len(target) - 1, key, _formatted(value, target))  # type: ignore[attr-defined]  # a CommentedMap
    return target


def remove(target: Mapping, keys: list[str], patch: Mapping, file: str) -> None:
    """Take dotted keys out of `target`, in place. A mapping that `patch` fills again is emptied, and keeps its place.

    Raises InputError with each key that is not there.
    """
    missing = []
    for key in keys:
        *parents, last = key.split(".")
        mapping, again = target, patch
        for parent in parents:
            mapping, again = _child(mapping, parent), _child(again, parent)
        if last not in mapping:
            hint = did_you_mean(last, mapping)
            missing.append(Problem(file, "remove", repr(key), "a key of params.yaml", hint))
        elif isinstance(mapping[last], dict) and isinstance(again.get(last), dict):
            mapping[last].clear()
        else:
            _drop(mapping, last)
    if missing:
        raise InputError(*missing)


def partial(schema: Any) -> Any:
    """The schema for an overlay on documents of `schema`: the same keys and values, none of them required."""
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if key not in ("allOf", "if", "minProperties", "required")}
    below = {key: {name: partial(child) for name, child in kept[key].items()} for key in CHILDREN if key in kept}
    return kept | below


def has_key(schema: Any, keys: list[str]) -> bool:
    """Whether a schema allows a key, given as the path of keys to it."""
    if not keys or not isinstance(schema, dict) or schema.get("additionalProperties", True) is not False:
        return True  # an open schema allows every key
    first, *rest = keys
    found = [child for name, child in schema.get("properties", {}).items() if name == first]
    found += [child for pattern, child in schema.get("patternProperties", {}).items() if re.search(pattern, first)]
    return any(has_key(child, rest) for child in found)


def differences(before: Any, after: Any, key: str = "") -> list[str]:
    """`key: old → new` for each value in which two documents differ; "(none)" stands for a key that is not there."""
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(k for k in after if k not in before)]
        pairs = ((k, before.get(k, NO_KEY), after.get(k, NO_KEY)) for k in keys)
        return [line for k, old, new in pairs for line in differences(old, new, f"{key}.{k}" if key else k)]
    return [f"{key}: {_in_a_line(before)} → {_in_a_line(after)}"]


def _in_a_line(value: object) -> str:
    if value is NO_KEY:
        return "(none)"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_in_a_line(child)}" for key, child in value.items()) + "}"
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _child(mapping: Mapping, key: str) -> Mapping:
    """The mapping at a key of a mapping, or an empty one."""
    child = mapping.get(key)
    return child if isinstance(child, dict) else {}


def _drop(mapping: Mapping, key: str) -> None:
    """Remove a key. A comment after the last key belongs to what follows the mapping, and stays."""
    comments = mapping.ca.items if _ends_in_comment(mapping) and key == list(mapping)[-1] else None  # type: ignore[attr-defined]  # a CommentedMap
    comment = comments.pop(key, None) if comments else None
    del mapping[key]
    if comments is not None and comment and mapping:
        comments[list(mapping)[-1]] = comment


def _ends_in_comment(mapping: Mapping) -> bool:
    return bool(mapping) and hasattr(mapping, "ca") and list(mapping)[-1] in mapping.ca.items


def _formatted(value: Any, like: Mapping) -> Any:
    """A value as params.yaml would have it: lists and short mappings on one line. Unchanged if `like` is a plain mapping.

    A mapping of several mappings has a line for each.
    """
    if not isinstance(value, dict | list) or not hasattr(like, "ca"):
        return value
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if isinstance(value, list):
        sequence = CommentedSeq(_formatted(item, like) for item in value)
        sequence.fa.set_flow_style()
        return sequence
    mapping = CommentedMap((key, _formatted(child, like)) for key, child in value.items())
    nested = any(isinstance(child, dict) for child in value.values())
    if (not nested or len(value) == 1) and len(_in_a_line(value)) < ONE_LINE:
        mapping.fa.set_flow_style()
    return mapping
