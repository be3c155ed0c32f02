"""A category's definition."""

from pathlib import Path

from cantica.core.documents import read_yaml, validate


def load_definition(folder: Path) -> dict[str, str]:
    """What a category folder's `category.yaml` says: title, definition, failure. Raises InputError."""
    definition = read_yaml(folder / "category.yaml")
    validate(definition, "category", folder / "category.yaml")
    return definition
