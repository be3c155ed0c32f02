"""Let a judge that is a model score the answers of all arms, without knowing whose they are.

    python -m stages.verdict olmo data/responses prompts/held_out prompts/judge/rubric models/base \\
        data/judgements/models/olmo.jsonl

The judge is one of `judges` in params.yaml; models/base is read by those that say `by: mlx`.
"""

from pathlib import Path

from cantica.core.command import run
from cantica.core.documents import read_jsonl, validate_records
from cantica.core.files import write_jsonl
from cantica.core.params import read_params
from cantica.engine.backend.blas import fix_blas
from cantica.generation.counter import counter
from cantica.judging import verdicts as of
from cantica.judging.held_out import load_prompts
from cantica.judging.local import LocalModel
from cantica.judging.rubric import Rubric
from cantica.llm.client import Client
from cantica.llm.server import Server
from cantica.llm.structured import valid_reply


def main(judge: str, responses: Path, held_out: Path, rubric: Path, base: Path, verdicts: Path) -> None:
    params = read_params("arms", f"judges.{judge}", "toolchain.model", "toolchain.templates")
    options = params["judges"][judge]
    answers = {}
    for arm in params["arms"]:
        file = responses / f"{arm}.jsonl"
        answers[arm] = read_jsonl(file)
        validate_records(answers[arm], "response", file)
    prompts = {prompt["id"]: prompt for prompt in load_prompts(held_out)}
    asked: Client
    if options["by"] == "server":
        asked = Server(options, f"judges.{judge}")
    else:
        fix_blas(params["toolchain"]["model"]["blas-core"])
        asked = LocalModel(base, options["max_tokens"], params["toolchain"]["model"])
    with asked:
        records = judge_answers(answers, prompts, Rubric(rubric), asked, options)
    validate_records(records, "verdict", verdicts)
    write_jsonl(verdicts, records)
    print(f"{judge}: {asked.summary()}")
    print(f"{verdicts}: {of.summary(records)}")


def judge_answers(
    answers: dict[str, list[dict]], prompts: dict[str, dict], rubric: Rubric, asked: Client, options: dict
) -> list[dict]:
    """The verdicts of the judge of `options` on the answers of arms to held-out prompts, both by name.

    asked: the client of the judge. Raises InputError when it gives no reply at all.
    """

    def ask(task: of.Task) -> of.Reply:
        prompt, texts = prompts[task[0]], task[1:]
        check = rubric.check(prompt["kind"], len(texts))
        return valid_reply(rubric.prompts, asked, rubric.request(prompt, *texts), check=check, attempts=options["attempts"])

    alone = options["kind"] == "model"
    tasks = of.tasks_alone(answers) if alone else of.tasks_in_pairs(answers)
    at_a_time = options["concurrency"] if options["by"] == "server" else 1
    with counter("replies", len(tasks)) as on_reply:
        replies = of.decide(tasks, ask, options["seed"], at_a_time, on_reply)
    write = of.verdicts_alone if alone else of.verdicts_in_pairs
    return list(write(answers, replies, rubric.criteria_of))


if __name__ == "__main__":
    run(main)
