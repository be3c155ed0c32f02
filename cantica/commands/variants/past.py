"""Variants as they were in other commits, read from git without a checkout."""

from typing import Any

from ruamel.yaml.error import YAMLError

from cantica.commands.git import contents
from cantica.commands.variants.files import FOLDER, lay_parts, parts
from cantica.commands.yaml_text import from_text
from cantica.core.errors import InputError, Problem
from cantica.core.params import FILE


def overlaid_at(commit: str, name: str, seed: int | None = None) -> dict[str, Any]:
    """The params of a commit with its own variants laid over them and the seed set; "" is no variant. They are not checked.

    Raises InputError if the commit has no such params or variant, or if they do not fit each other.
    """
    found = _read(commit, FILE.as_posix())
    try:
        names = parts(name, lambda part: variant_at(commit, part)) if name else []
        lay_parts(found, names, seed, lambda part: variant_at(commit, part), lambda file: None)
    except (AttributeError, KeyError, TypeError) as error:  # a form of another version
        got = f"{name} does not fit over {FILE}: {type(error).__name__} {error}"
        raise InputError(Problem(commit, "", got, "a variant that does")) from None
    return found


def variant_at(commit: str, name: str) -> dict[str, Any]:
    """The file of a variant as it is in a commit. Raises InputError if there is none."""
    return _read(commit, f"{FOLDER}/{name}.yaml")


def _read(commit: str, path: str) -> dict[str, Any]:
    """A YAML mapping of a commit. Raises InputError where there is none."""
    try:
        found = from_text(contents([f"{commit}:./{path}"])[0].decode())
    except (UnicodeDecodeError, YAMLError):
        found = None
    if not isinstance(found, dict):
        raise InputError(Problem(f"{commit[:9]}:{path}", "", "no YAML mapping", "a file of this commit"))
    return found
