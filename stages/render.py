"""Render a category's scenarios from its templates and slot values, and write down its definition.

python -m stages.render betrayal prompts/categories/betrayal data/categories/betrayal.json data/scenarios/betrayal.jsonl
"""

from pathlib import Path

from stages.lib.command import run
from stages.lib.documents import raise_any
from stages.lib.files import write_json, write_jsonl
from stages.lib.params import read_params
from stages.lib.templates import load_category, render_category, scenario_faults


def main(category: str, folder: Path, definition: Path, scenarios: Path) -> None:
    params = read_params(f"categories.{category}", "data.seed", "toolchain.jinja2")
    source = load_category(folder)
    records = render_category(source, params["categories"][category], params["data"]["seed"])
    raise_any(scenario_faults(records, folder))
    write_json(definition, source.definition)
    write_jsonl(scenarios, records)
    print(f"{category}: {len(records)} scenarios")


if __name__ == "__main__":
    run(main)
