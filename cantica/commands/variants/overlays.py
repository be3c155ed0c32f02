"""Lay one mapping over another, comments and order of keys kept. Pure, on what ruamel.yaml reads and on plain mappings."""

import json
import re

from cantica.core.errors import InputError, Problem, did_you_mean

NO_KEY = object()
ONE_LINE = 90  # characters
CHILDREN = ("properties", "patternProperties")  # of a schema: those of the keys of a mapping


def lay(target, patch):
    """Merge `patch` into `target`, in place: mappings key by key, everything else, null too, replaces what was there."""
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict) and target[key]:
            lay(target[key], value)
        elif key in target or not _ends_in_comment(target):
            target[key] = _laid_out(value, target)
        else:
            # Not at the end: the comment there belongs to what comes after the mapping.
            target.insert(len(target) - 1, key, _laid_out(value, target))
    return target


def remove(target, keys: list[str], patch: dict, file: str) -> None:
    """Take dotted keys out of `target`, in place. A mapping that `patch` fills again is emptied, and keeps its place.

    Raises InputError for each key that is not there.
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


def partial(schema):
    """A schema for an overlay on what `schema` is for: the same keys and values, of which none has to be there."""
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if key not in ("allOf", "if", "minProperties", "required")}
    below = {key: {name: partial(child) for name, child in kept[key].items()} for key in CHILDREN if key in kept}
    return kept | below


def has_key(schema, keys: list[str]) -> bool:
    """Whether a document that fits a schema may have a key, by the path of keys to it."""
    if not keys or not isinstance(schema, dict) or schema.get("additionalProperties", True) is not False:
        return True  # what is not closed says nothing of its keys
    first, *rest = keys
    found = [child for name, child in schema.get("properties", {}).items() if name == first]
    found += [child for pattern, child in schema.get("patternProperties", {}).items() if re.search(pattern, first)]
    return any(has_key(child, rest) for child in found)


def differences(before, after, key: str = "") -> list[str]:
    """`key: old → new` for each value by which two documents differ; "(none)" where there is no such key."""
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(k for k in after if k not in before)]
        pairs = ((k, before.get(k, NO_KEY), after.get(k, NO_KEY)) for k in keys)
        return [line for k, old, new in pairs for line in differences(old, new, f"{key}.{k}" if key else k)]
    return [f"{key}: {_told(before)} → {_told(after)}"]


def _told(value) -> str:
    if value is NO_KEY:
        return "(none)"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_told(child)}" for key, child in value.items()) + "}"
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _child(mapping, key: str) -> dict:
    """What a mapping holds at a key, or an empty mapping."""
    child = mapping.get(key)
    return child if isinstance(child, dict) else {}


def _drop(mapping, key: str) -> None:
    """Remove a key; a comment after the last one stands before what follows the mapping, and stays."""
    comment = mapping.ca.items.pop(key, None) if key == list(mapping)[-1] and _ends_in_comment(mapping) else None
    del mapping[key]
    if comment and mapping:
        mapping.ca.items[list(mapping)[-1]] = comment


def _ends_in_comment(mapping) -> bool:
    return bool(mapping) and hasattr(mapping, "ca") and list(mapping)[-1] in mapping.ca.items


def _laid_out(value, like):
    """A value as it is to be written: a short mapping of scalars on one line, as in params.yaml. Plain where `like` is."""
    if not isinstance(value, dict) or not hasattr(like, "ca"):
        return value
    from ruamel.yaml.comments import CommentedMap

    mapping = CommentedMap((key, _laid_out(child, like)) for key, child in value.items())
    if not any(isinstance(child, dict) for child in value.values()) and len(_told(value)) < ONE_LINE:
        mapping.fa.set_flow_style()
    return mapping
