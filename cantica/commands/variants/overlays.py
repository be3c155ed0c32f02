"""Lay one mapping over another and keep comments and the order of keys. Pure, for ruamel.yaml's mappings and plain ones."""

import json
import re
from typing import Any

from cantica.core.errors import InputError, Problem, did_you_mean

NO_KEY = object()
ONE_LINE = 90  # characters
EMPTY = (None, None, None, None)  # ruamel.yaml's comments of a key or item that has none
CHILDREN = ("properties", "patternProperties")  # of a schema: those of the keys of a mapping

Mapping = dict[str, Any]  # or ruamel.yaml's CommentedMap, which is one


def lay(target: Mapping, patch: Mapping) -> Mapping:
    """Merge `patch` into `target`, in place. Mappings are merged key by key; other values, null too, replace the old ones."""
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict) and target[key]:
            lay(target[key], value)
        else:
            last = key if key in target else next(reversed(target), None)
            comment = _take_comment(target, last)  # it belongs to what follows the mapping
            target[key] = _formatted(value, target)
            if comment:
                _end_with(target, key, comment)
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
            comment = _take_comment(mapping, last)
            mapping[last].clear()
            if comment:
                _end_with(mapping, last, comment)
        else:
            _drop(mapping, last)
    if missing:
        raise InputError(*missing)


def inlined(schema: Any, definitions: dict[str, Any] | None = None) -> Any:
    """A schema in which each `$ref` is replaced by the definition in `$defs` that it refers to."""
    if isinstance(schema, list):
        return [inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    known = schema.get("$defs", {}) if definitions is None else definitions
    own = {key: inlined(value, known) for key, value in schema.items() if key not in ("$defs", "$ref")}
    return inlined(known[schema["$ref"].removeprefix("#/$defs/")], known) | own if "$ref" in schema else own


def partial(schema: Any) -> Any:
    """The schema for an overlay on documents of an inlined schema: the same keys and values, none of them required."""
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if key not in ("allOf", "if", "minProperties", "required")}
    below = {key: {name: partial(child) for name, child in kept[key].items()} for key in CHILDREN if key in kept}
    return kept | below


def has_key(schema: Any, keys: list[str]) -> bool:
    """Whether an inlined schema allows a key, given as the path of keys to it."""
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
    """Remove a key. The comment after it belongs to what follows, and stays, unless the key is the first."""
    comment, keys = _take_comment(mapping, key), list(mapping)
    del mapping[key]
    if comment and key != keys[0]:
        before = keys[keys.index(key) - 1]
        if earlier := _take_comment(mapping, before):
            comment.value = earlier.value.rstrip(" ") + comment.value.lstrip("\n")
        _end_with(mapping, before, comment)


def _last_line(mapping: Any, key: Any) -> tuple[Any, Any]:
    """Where the last line of a key's value is: the mapping or list that has it, and its key or place there."""
    value = mapping[key]
    if not hasattr(value, "ca") or not value or value.fa.flow_style():
        return mapping, key
    return _last_line(value, list(value)[-1] if isinstance(value, dict) else len(value) - 1)


def _take_comment(mapping: Any, key: str | None) -> Any:
    """Remove the comment after a key and its value, and return it; None if there is none."""
    if not hasattr(mapping, "ca") or key is None:
        return None
    holder, last = _last_line(mapping, key)
    if holder.ca.end:  # of a list of mappings that are each on one line
        comment = holder.ca.end[-1]
        comment.value = "\n" + "".join(token.value for token in holder.ca.end)
        holder.ca.end.clear()
        return comment
    comments = holder.ca.items.get(last, EMPTY)
    comment = comments[_after(holder)]
    if comment:
        comments[_after(holder)] = None
    return comment


def _end_with(mapping: Any, key: str, comment: Any) -> None:
    """Put a comment after a key and its value."""
    holder, last = _last_line(mapping, key)
    holder.ca.items.setdefault(last, list(EMPTY))[_after(holder)] = comment


def _after(holder: Any) -> int:
    """The place of the comment after a value among the comments that ruamel.yaml keeps with its key."""
    return 2 if isinstance(holder, dict) else 0


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
