"""Score an arm's responses by the rules.

python -m stages.judge prompts/held_out prompts/judge/rules.yaml data/responses/final.jsonl data/judgements/final.jsonl
"""

from pathlib import Path

from cantica.core.command import run
from cantica.core.documents import raise_any, read_jsonl, validate_records
from cantica.core.files import write_jsonl
from cantica.core.records import Judgement, Response, sample_key
from cantica.judging.apply_rules import judge
from cantica.judging.held_out import load_prompts
from cantica.judging.rules import criteria_faults, load_rules


def main(held_out: Path, rules_file: Path, responses: Path, judgements: Path) -> None:
    rules = load_rules(rules_file)
    prompts = {prompt["id"]: prompt for prompt in load_prompts(held_out)}
    answers: list[Response] = read_jsonl(responses)
    validate_records(answers, "response", responses)
    raise_any(criteria_faults(rules, dict.fromkeys(prompts[answer["id"]]["kind"] for answer in answers), rules_file))
    records: list[Judgement] = []
    for answer in answers:
        score = judge(rules, prompts[answer["id"]], answer["answer"])
        records.append({**sample_key(answer), **score})
    validate_records(records, "judgement", judgements)
    write_jsonl(judgements, records)
    print(f"{judgements}: {len(records)} judgements, {sum(bool(record['flags']) for record in records)} with a flag")


if __name__ == "__main__":
    run(main)
