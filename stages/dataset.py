"""Turn a category's scenarios into chat examples, training and held-out.

python -m stages.dataset data/scenarios/betrayal.jsonl data/train/betrayal.jsonl data/valid/betrayal.jsonl
"""

from pathlib import Path

from stages.lib.chat import assistant_turn, user_turn
from stages.lib.command import run
from stages.lib.documents import raise_any, read_jsonl, validate_records
from stages.lib.errors import Problem
from stages.lib.files import write_jsonl


def example(scenario: dict) -> dict:
    """The chat example of one scenario, in the form that mlx-lm and Hugging Face `datasets` read."""
    return {
        "id": scenario["id"],
        "messages": [
            {"role": "user", "content": user_turn(scenario["scenario"], scenario["reflection"])},
            {"role": "assistant", "content": assistant_turn(scenario["thinking"], scenario["answer"])},
        ],
    }


def duplicates(scenarios: list[dict], file: Path) -> list[Problem]:
    """A Problem for each scenario whose text an earlier one has already."""
    seen: dict[tuple, str] = {}
    problems = []
    for line, scenario in enumerate(scenarios, 1):
        first = seen.setdefault((scenario["scenario"], scenario["reflection"]), scenario["id"])
        if first != scenario["id"]:
            problems.append(Problem(str(file), f"line {line}", f"the text of {first} again", "a scenario of its own"))
    return problems


def main(scenarios: Path, train: Path, valid: Path) -> None:
    records = read_jsonl(scenarios)
    validate_records(records, "scenario", scenarios)
    raise_any(duplicates(records, scenarios))
    for split, path in (("train", train), ("valid", valid)):
        examples = [example(record) for record in records if record["split"] == split]
        validate_records(examples, "example", path)
        write_jsonl(path, examples)
        print(f"{path}: {len(examples)} examples")


if __name__ == "__main__":
    run(main)
