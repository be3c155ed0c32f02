"""Read YAML, and write it with its comments."""

import io
from functools import lru_cache
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.representer import RoundTripRepresenter


def to_text(document: dict[str, Any]) -> str:
    """A document as YAML, as it was read."""
    text = io.StringIO()
    _yaml().dump(document, text)
    return text.getvalue()


def from_text(text: str) -> dict[str, Any]:
    """A YAML document as DVC reads it."""
    return YAML(typ="safe").load(text)


class _Representer(RoundTripRepresenter):
    """Writes null for what is not set, where the library writes nothing, and quotes what DVC's parser cannot read without.

    A class of its own leaves other writers alone.
    """


_Representer.add_representer(type(None), lambda to, _: to.represent_scalar("tag:yaml.org,2002:null", "null"))
# In braces, YAML 1.1, which that parser reads, has no question mark in plain text.
_Representer.add_representer(
    str, lambda to, text: to.represent_scalar("tag:yaml.org,2002:str", text, '"' if "?" in text else None)
)


@lru_cache(8)
def commented(text: str) -> dict[str, Any]:
    """A YAML document with its comments, which is parsed once."""
    return _yaml().load(text)


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 120
    yaml.Representer = _Representer
    return yaml
