"""Variants: overlays on params.yaml in `variants/<name>.yaml`."""

import io
from pathlib import Path

from ruamel.yaml import YAML

from stages.check import check_params
from stages.lib.common.documents import read_yaml, validate
from stages.lib.common.errors import InputError, Problem, did_you_mean
from stages.lib.common.files import write_text
from stages.lib.params import FILE

FOLDER = Path("variants")


def names() -> list[str]:
    """Names of the variants, in alphabetical order."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def load_variant(name: str) -> dict:
    """A variant's file, held against its schema. Raises InputError."""
    if name not in names():
        known = ", ".join(names())
        raise InputError(Problem(str(FOLDER), "", f"no variant {name!r}", f"one of {known}", did_you_mean(name, names())))
    file = FOLDER / f"{name}.yaml"
    variant = read_yaml(file)
    validate(variant, "variant", file)
    return variant


def merge_patch(target, patch):
    """Lay a JSON Merge Patch (RFC 7386) over a document, in place where both are mappings, and return the result.

    A key set to None is removed, mappings are merged, everything else is replaced.
    """
    if not isinstance(patch, dict):
        return patch
    if not isinstance(target, dict):
        target = {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif key in target or not hasattr(target, "insert"):
            target[key] = merge_patch(target.get(key), value)
        else:
            # Not at the end: the comment there belongs to what comes after the mapping.
            target.insert(max(len(target) - 1, 0), key, merge_patch(None, value))
    return target


def overlaid(name: str):
    """params.yaml, comments and all, with a variant laid over it and held against the schema. Raises InputError."""
    variant = load_variant(name)
    params = merge_patch(_yaml().load(FILE.read_text(encoding="utf-8")), variant["params"])
    check_params(params, FOLDER / f"{name}.yaml over {FILE}")
    return params


def apply_variant(name: str) -> list[str]:
    """Write the overlaid params.yaml and return a line for each key that changed."""
    before, after = read_yaml(FILE), overlaid(name)
    changes = differences(before, after)
    if changes:
        write_text(FILE, to_text(after))
    return changes


def differences(before, after, key: str = "") -> list[str]:
    """`key: old → new` for each value by which two documents differ."""
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(k for k in after if k not in before)]
        return [line for k in keys for line in differences(before.get(k), after.get(k), f"{key}.{k}" if key else k)]
    old, new = ("(none)" if value is None else value for value in (before, after))
    return [f"{key}: {old} → {new}"]


def to_text(document) -> str:
    """A document as YAML, as it was read."""
    text = io.StringIO()
    _yaml().dump(document, text)
    return text.getvalue()


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 120
    yaml.representer.add_representer(type(None), lambda to, _: to.represent_scalar("tag:yaml.org,2002:null", "null"))
    return yaml
