"""Probe pairs: a prompt with two completions, chosen and rejected. An arm should prefer the chosen one."""

from pathlib import Path
from typing import TypedDict

from cantica.core.documents import raise_any, read_yaml, repeated_ids, validate


class Pair(TypedDict):
    """A probe pair. Its category is the name of its file; schemas/pairs.schema.json describes the other fields."""

    category: str
    id: str
    prompt: str
    chosen: str
    rejected: str


def load_pairs(folder: Path) -> list[Pair]:
    """Return the probe pairs of every `<category>.yaml` in a folder, sorted by category. Raises InputError."""
    pairs: list[Pair] = []
    for file in sorted(folder.glob("*.yaml")):
        document = read_yaml(file)
        validate(document, "pairs", file)
        pairs += [{"category": file.stem} | pair for pair in document["pairs"]]
    raise_any(repeated_ids(pairs, folder))
    return pairs
