"""Write the scenarios of a category, from its templates or with a language model, or import its chat records.

    python -m stages.render betrayal prompts/categories/betrayal prompts/writers/template
        data/categories/betrayal.json data/scenarios/betrayal.jsonl

A source with a category.yaml is for a writer, which `data.writer` chooses; any other is imported.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from stages.lib.common.command import run
from stages.lib.common.documents import faults, raise_any, validator
from stages.lib.common.files import write_json, write_jsonl
from stages.lib.definition import load_definition
from stages.lib.imports import import_records, is_import
from stages.lib.params import read_params

SHOWN = 20  # faults told at once


def main(category: str, source: Path, writers: Path, definition: Path, scenarios: Path) -> None:
    writer = writers.name  # as DVC has it from data.writer
    params = read_params(f"categories.{category}", "data.writer", f"data.{writer}", "toolchain.jinja2")
    settings, options = params["categories"][category], params["data"][writer]
    if is_import(source):
        about = {"title": category.replace("_", " ").capitalize(), "definition": f"Imported from {source}.", "failure": ""}
        records = import_records(source, category, settings, options["seed"])
    elif writer == "template":
        from stages.lib.writers.template import load_category, render_category

        about = load_definition(source)
        records = checked(render_category(load_category(source, writers), settings, options["seed"]))
    else:
        from stages.lib.writers.model import write_category

        about = load_definition(source)
        records = checked(write_category(category, about, writers, settings, options))
    write_json(definition, about | {"by": "import" if is_import(source) else writer})
    print(f"{category}: {write_jsonl(scenarios, records)} scenarios")


def checked(records: Iterable[dict]) -> Iterator[dict]:
    """The records; after the last, an InputError for what their schema finds, once for each template and block."""
    check, found = validator("scenario"), {}
    for record in records:
        if len(found) < SHOWN:
            file = record["origin"].partition(": ")[0]  # of a template, without the case
            for fault in faults(record, check, file):
                found.setdefault((fault.file, fault.place), replace(fault, place=f"block {fault.place}, as {record['id']}"))
        yield record
    raise_any(list(found.values()))


if __name__ == "__main__":
    run(main)
