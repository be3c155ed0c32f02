"""The definition of a category: its `category.yaml`."""

from pathlib import Path
from typing import NotRequired, TypedDict

from cantica.core.documents import read_yaml, validate
from cantica.core.errors import Problem


class Definition(TypedDict):
    """What a category is: a title, which behaviour it shows, and why that behaviour fails on its own terms."""

    title: str
    definition: str
    failure: NotRequired[str]


def load_definition(folder: Path) -> Definition:
    """Read the `category.yaml` of a category's folder. Raises InputError."""
    definition = read_yaml(folder / "category.yaml")
    validate(definition, "category", folder / "category.yaml")
    return definition


def failure_faults(definition: Definition, folder: Path, why: str) -> list[Problem]:
    """Return a Problem if `failure` is missing. why: who needs it."""
    if "failure" in definition:
        return []
    expected = "one sentence: why the behaviour fails on its own terms"
    return [Problem(str(folder / "category.yaml"), "", "no key 'failure'", expected, f"{why} needs it")]
