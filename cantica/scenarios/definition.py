"""The definition of a category: its `category.yaml`."""

from pathlib import Path
from typing import TypedDict

from cantica.core.documents import read_yaml, validate


class Definition(TypedDict):
    """What a category is: a title, which behaviour it shows, and why that behaviour fails on its own terms."""

    title: str
    definition: str
    failure: str


def load_definition(folder: Path) -> Definition:
    """Read the `category.yaml` of a category's folder. Raises InputError."""
    definition = read_yaml(folder / "category.yaml")
    validate(definition, "category", folder / "category.yaml")
    return definition
