"""Write the scenarios of a category, from its templates or with a language model, or import its chat records.

    python -m stages.render betrayal prompts/categories/betrayal prompts/writers/template
        data/categories/betrayal.json data/scenarios/betrayal.jsonl

A source with a category.yaml is for a writer, which `data.writer` chooses; any other is imported.
"""

from pathlib import Path

from cantica.core.command import run
from cantica.core.files import write_json, write_jsonl
from cantica.core.params import read_params
from cantica.scenarios.checked import checked
from cantica.scenarios.definition import load_definition
from cantica.scenarios.imports import import_records, is_import
from cantica.scenarios.model_writer import write_category
from cantica.scenarios.template_writer import load_category, render_category


def main(category: str, source: Path, writers: Path, definition: Path, scenarios: Path) -> None:
    writer = writers.name  # as DVC has it from data.writer
    params = read_params(f"categories.{category}", "data.writer", f"data.{writer}", "toolchain.templates")
    settings, options = params["categories"][category], params["data"][writer]
    if is_import(source):
        about = {"title": category.replace("_", " ").capitalize(), "definition": f"Imported from {source}.", "failure": ""}
        records = import_records(source, category, settings, options["seed"])
    elif writer == "template":
        about = load_definition(source)
        records = checked(render_category(load_category(source, writers), settings, options["seed"]))
    else:
        about = load_definition(source)
        records = checked(write_category(category, about, writers, settings, options))
    write_json(definition, about | {"by": "import" if is_import(source) else writer})
    print(f"{category}: {write_jsonl(scenarios, records)} scenarios")


if __name__ == "__main__":
    run(main)
