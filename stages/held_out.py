"""Check the evaluation prompts and the behaviours, and write those that this build uses.

    python -m stages.held_out prompts data/held_out.jsonl data/behaviours.json data/behaviour_items.jsonl

Evaluation prompts are written without the fields that only judges use. The lint needs only the items of behaviours, with the
texts as a model is asked them; so another measure or another system prompt does not repeat it.
"""

from pathlib import Path

from cantica.core.command import run
from cantica.core.documents import validate_records
from cantica.core.files import write_json, write_jsonl
from cantica.core.params import FILE, read_params
from cantica.judging.held_out import asked_of, load_prompts, question_of
from cantica.probes.behaviour_files import chosen, load_behaviours
from cantica.probes.behaviours import items_asked, without_title


def main(prompts: Path, questions: Path, behaviours: Path, items: Path) -> None:
    params = read_params("held_out", "probe.behaviours")
    records = [question_of(prompt) for prompt in asked_of(load_prompts(prompts / "held_out"), params["held_out"], FILE)]
    validate_records(records, "question", questions)
    found = chosen(load_behaviours(prompts / "probes/behaviours"), params["probe"]["behaviours"], FILE)
    write_jsonl(questions, records)
    write_json(behaviours, {name: without_title(behaviour) for name, behaviour in found.items()})
    number = write_jsonl(items, (item for name, behaviour in found.items() for item in items_asked(name, behaviour)))
    print(f"{questions}: {len(records)} prompts; {behaviours}: {len(found)} behaviours with {number} items")


if __name__ == "__main__":
    run(main)
