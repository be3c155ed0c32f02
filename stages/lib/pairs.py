"""The pairs of completions that every arm is probed with."""

from pathlib import Path

from stages.lib.documents import raise_any, read_yaml, repeated_ids, validate


def load_pairs(folder: Path, categories) -> list[dict]:
    """The probe pairs of each category's `<category>.yaml`, in the order of the categories. Raises InputError."""
    pairs = []
    for category in categories:
        file = folder / f"{category}.yaml"
        document = read_yaml(file)
        validate(document, "pairs", file)
        pairs += [{"category": category} | pair for pair in document["pairs"]]
    raise_any(repeated_ids(pairs, folder))
    return pairs
