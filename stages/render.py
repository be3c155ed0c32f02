"""Write the scenarios of a category: render its templates, ask a language model for them, or import chat records.

    python -m stages.render betrayal prompts/categories/betrayal prompts/writers/template
        data/categories/betrayal.json data/scenarios/betrayal.jsonl

A source with a category.yaml goes to the writer that `data.writer` in params.yaml names: `template` or `model`. Any other
source is imported.
"""

from collections.abc import Iterator
from pathlib import Path

from cantica.core.command import run
from cantica.core.documents import raise_any
from cantica.core.files import write_json, write_jsonl
from cantica.core.params import read_params
from cantica.scenarios.definition import Definition, failure_faults, load_definition
from cantica.scenarios.imports import import_records, is_import
from cantica.scenarios.model_writer import write_category
from cantica.scenarios.scenario import Scenario, valid_scenarios
from cantica.scenarios.template_writer import render_category
from cantica.scenarios.templates import load_category


def main(category: str, source: Path, writers: Path, definition: Path, scenarios: Path) -> None:
    writer = writers.name  # the folder has the name of the writer, data.writer
    params = read_params(f"categories.{category}", "data.writer", f"data.{writer}", "toolchain.templates")
    settings, options = params["categories"][category], params["data"][writer]
    about: Definition
    records: Iterator[Scenario]
    if is_import(source):
        about, form = imported(category, source), "chat"
        records = import_records(source, category, settings, options["seed"])
    elif writer == "template":
        loaded = load_category(source, writers)
        about, form = loaded.definition, loaded.form
        records = valid_scenarios(render_category(loaded, settings, options["seed"], category))
    else:
        about, form = load_definition(source), "witnessed"
        raise_any(failure_faults(about, source, "the writer `model`"))
        records = valid_scenarios(write_category(category, about, writers, settings, options))
    write_json(definition, {**about, "by": "import" if is_import(source) else writer, "form": form})
    print(f"{category}: {write_jsonl(scenarios, records)} scenarios")


def imported(category: str, source: Path) -> Definition:
    """Return the definition of an imported category, which has no category.yaml."""
    return {"title": category.replace("_", " ").capitalize(), "definition": f"Imported from {source}."}


if __name__ == "__main__":
    run(main)
