"""Check the evaluation prompts, and write those that arms answer, without the fields that only judges use.

python -m stages.held_out prompts/held_out data/held_out.jsonl
"""

from pathlib import Path

from cantica.core.command import run
from cantica.core.documents import validate_records
from cantica.core.files import write_jsonl
from cantica.core.params import FILE, read_params
from cantica.judging.held_out import asked_of, load_prompts, question_of


def main(held_out: Path, questions: Path) -> None:
    prompts = asked_of(load_prompts(held_out), read_params("held_out")["held_out"], FILE)
    records = [question_of(prompt) for prompt in prompts]
    validate_records(records, "question", questions)
    write_jsonl(questions, records)
    print(f"{questions}: {len(records)} prompts")


if __name__ == "__main__":
    run(main)
