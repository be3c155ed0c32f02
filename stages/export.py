"""Write the dataset in the layout of mlx-lm and Hugging Face `datasets`, with its card, its Croissant metadata and the data
of the plots.

python -m stages.export data reports data/export
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cantica.core.command import run
from cantica.core.documents import iterate_jsonl, read_json
from cantica.core.files import whole_folder, write_json, write_jsonl, write_text
from cantica.core.params import read_params
from cantica.dataset.operations import operations_of
from cantica.reporting.croissant import data_files
from cantica.reporting.dataset import (
    SIMILARITY_COLUMNS,
    SIZE_COLUMNS,
    licence,
    metadata,
    similarity_rows,
    size_category,
    size_rows,
    title,
)
from cantica.reporting.pages import as_csv, render


def main(data: Path, reports: Path, export: Path) -> None:
    writer = read_params("data.writer")["data"]["writer"]
    keys = ("categories", "license", "pairing", "repairs", "seed", "system", "thinking", "writer", writer)
    audit = ("audit.categories", "audit.rules", "audit.waivers")
    sections = ("categories", "mixes", "samples", "server_samples", "toolchain.templates")
    params = read_params(*audit, *(f"data.{key}" for key in keys), *sections)
    details = read_json(data / "audit" / "details.json")
    numbers = read_json(reports / "dataset.json")
    categories = {c: read_json(data / "categories" / f"{c}.json") for c in params["categories"]}
    licences = {c: licence(about["by"], params["categories"][c], params["data"]["license"]) for c, about in categories.items()}
    samples = {
        name: settings | {"counts": read_json(data / "sampling" / f"{name}.json")}
        for name, settings in (params["samples"] | params["server_samples"]).items()
    }
    facts = {
        "params": params,
        "numbers": numbers,
        "details": details,
        "categories": categories,
        "licences": licences,
        "operations": {c: operations_of(c, params["data"]) for c in categories},
        "samples": samples,
        "title": title(categories),
        "size_category": size_category(sum(numbers["examples"].values())),
    }
    text = render("dataset_card.md.j2", facts)
    with whole_folder(export) as folder:
        write_text(folder / "README.md", text)
        for split in ("train", "valid"):
            write_jsonl(folder / f"{split}.jsonl", (r for c in categories for r in examples(data, split, c)))
            for category in categories:
                write_jsonl(folder / category / f"{split}.jsonl", examples(data, split, category))
        for sample in samples:
            write_jsonl(folder / "samples" / f"{sample}.jsonl", examples(data, "samples", sample, "sample"))
        write_json(folder / "croissant.json", metadata(facts, data_files(folder)))
    write_text(reports / "dataset_card.md", text)
    write_text(reports / "dataset_sizes.csv", as_csv(size_rows(details["sizes"], details["token_counts"]), SIZE_COLUMNS))
    write_text(reports / "dataset_similarity.csv", as_csv(similarity_rows(details["similarity"]), SIMILARITY_COLUMNS))


def examples(data: Path, split: str, name: str, key: str = "category") -> Iterator[dict[str, Any]]:
    """Yield the examples of a category's split, or of a sample, each with its name under `key`."""
    for record in iterate_jsonl(data / split / f"{name}.jsonl"):
        yield {"id": record["id"], key: name, "origin": record["origin"], "messages": record["messages"]}


if __name__ == "__main__":
    run(main)
