"""Probe pairs: a prompt with two completions, of which an arm should prefer the chosen one."""

from pathlib import Path
from typing import TypedDict

from cantica.core.documents import raise_any, read_yaml, repeated_ids, validate


class Pair(TypedDict):
    """A probe pair of a category, which is the name of its file; the schema pairs describes the rest."""

    category: str
    id: str
    prompt: str
    chosen: str
    rejected: str


def load_pairs(folder: Path) -> list[Pair]:
    """Read the probe pairs of every `<category>.yaml` in a folder, in order of category. Raises InputError."""
    pairs: list[Pair] = []
    for file in sorted(folder.glob("*.yaml")):
        document = read_yaml(file)
        validate(document, "pairs", file)
        pairs += [{"category": file.stem} | pair for pair in document["pairs"]]
    raise_any(repeated_ids(pairs, folder))
    return pairs
