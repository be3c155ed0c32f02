"""Score an arm's answers by the rules of the rubric.

python -m stages.judge prompts/held_out prompts/judge/rules.yaml data/responses/final.jsonl data/judgements/final.jsonl
"""

from pathlib import Path

from cantica.core.command import run
from cantica.core.documents import raise_any, read_jsonl, validate_records
from cantica.core.files import write_jsonl
from cantica.judging.apply_rules import judge
from cantica.judging.held_out import load_prompts
from cantica.judging.rules import criteria_faults, load_rules


def main(held_out: Path, rules_file: Path, responses: Path, judgements: Path) -> None:
    rules = load_rules(rules_file)
    prompts = {prompt["id"]: prompt for prompt in load_prompts(held_out)}
    answers = read_jsonl(responses)
    validate_records(answers, "response", responses)
    raise_any(criteria_faults(rules, dict.fromkeys(prompts[answer["id"]]["kind"] for answer in answers), rules_file))
    verdicts = []
    for answer in answers:
        prompt = prompts[answer["id"]]
        about = {key: answer[key] for key in ("id", "kind", "group", "sample")}
        verdicts.append(about | judge(rules, prompt, answer["answer"]))
    validate_records(verdicts, "judgement", judgements)
    write_jsonl(judgements, verdicts)
    print(f"{judgements}: {len(verdicts)} verdicts, {sum(bool(v['flags']) for v in verdicts)} with a flag")


if __name__ == "__main__":
    run(main)
