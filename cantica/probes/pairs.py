"""The pairs of completions that every arm is probed with."""

from pathlib import Path

from cantica.core.documents import raise_any, read_yaml, repeated_ids, validate


def load_pairs(folder: Path) -> list[dict]:
    """The probe pairs of each `<category>.yaml` in a folder, in order of name, with their `category`. Raises InputError."""
    pairs = []
    for file in sorted(folder.glob("*.yaml")):
        document = read_yaml(file)
        validate(document, "pairs", file)
        pairs += [{"category": file.stem} | pair for pair in document["pairs"]]
    raise_any(repeated_ids(pairs, folder))
    return pairs
