"""Take an arm's responses from a file of answers to the evaluation prompts.

python -m stages.answers published data/published.jsonl prompts/held_out data/held_out.jsonl data/responses/published.jsonl
"""

from pathlib import Path

from cantica.core.command import run
from cantica.core.documents import read_jsonl, validate_records
from cantica.core.files import write_jsonl
from cantica.core.records import Question
from cantica.judging.answers import load_answers, responses_of
from cantica.judging.held_out import load_prompts


def main(arm: str, file: Path, held_out: Path, questions: Path, responses: Path) -> None:
    prompts: list[Question] = read_jsonl(questions)
    validate_records(prompts, "question", questions)
    records = responses_of(load_answers(file, load_prompts(held_out)), prompts, file)
    validate_records(records, "response", responses)
    write_jsonl(responses, records)
    answered = len({record["id"] for record in records})
    print(f"{arm}: {len(records)} answers to {answered} of {len(prompts)} prompts")


if __name__ == "__main__":
    run(main)
