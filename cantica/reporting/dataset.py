"""What the exported dataset is called, how large it is, its licences, and the data of its plots. Pure."""

from typing import Any

from cantica.reporting.croissant import DataFile, Document, RecordSet, croissant

# Hugging Face's size categories, by the number of digits beyond three.
SIZES = (
    *("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M"),
    *("100M<n<1B", "1B<n<10B", "10B<n<100B", "100B<n<1T", "n>1T"),
)
SIZE_COLUMNS = ("category", "split", "examples", "tokens")
SIMILARITY_COLUMNS = ("category", "other", "cosine")


def title(categories: dict[str, dict[str, Any]]) -> str:
    """Return the name of the dataset: that of the stories of misbehaviour if it has only these, else its categories."""
    stories = all(about["form"] == "witnessed" for about in categories.values())
    return "Reflections on AI misalignment" if stories else ", ".join(about["title"] for about in categories.values())


def metadata(facts: dict[str, Any], files: list[DataFile]) -> Document:
    """Return the Croissant metadata of the dataset that the facts of its card describe."""
    keys = ("id", "category", "origin")
    sets = [
        RecordSet("train", "training examples of all categories", "train.jsonl", keys),
        RecordSet("validation", "validation examples of all categories, which no step trains on", "valid.jsonl", keys),
    ]
    for name, own in facts["samples"].items():
        text = f"further training examples, whose answers {own['counts']['author']} wrote"
        sets.append(RecordSet(f"samples-{name}", text, f"samples/{name}.jsonl", ("id", "sample", "origin")))
    number, categories = facts["numbers"]["examples"], facts["categories"]
    text = f"{number['train']} training and {number['valid']} validation examples: chats in these categories: "
    text += ", ".join(categories)
    return croissant(facts["title"], text, facts["licences"].values(), files, sets)


def size_category(examples: int) -> str:
    """Return Hugging Face's size category of a dataset."""
    return SIZES[max(len(str(examples)) - 3, 0)]


def licence(by: str, settings: dict[str, Any], ours: str) -> str:
    """Return a category's licence: `ours` if it was written here; for an import, the one in params, or unknown."""
    return settings.get("license", "unknown") if by == "import" else ours


def size_rows(sizes: dict[str, dict[str, int]], tokens: dict[str, dict[str, int]]) -> list[dict[str, Any]]:
    """Return a row for each split and category, with its number of examples and tokens."""
    return [
        {"category": category, "split": split, "examples": n, "tokens": tokens[split][category]}
        for split in sizes
        for category, n in sizes[split].items()
    ]


def similarity_rows(similarity: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Return a row for each pair of categories, with the cosine similarity of their words."""
    return [{"category": one, "other": other, "cosine": x} for one, row in similarity.items() for other, x in row.items()]
