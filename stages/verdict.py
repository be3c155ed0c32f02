"""Let a language model judge the responses of all arms, without knowing which arm wrote them.

    python -m stages.verdict olmo data/arms.json data/responses prompts/held_out prompts/judge/rubric models/base \\
        data/judgements/models/olmo.jsonl

The judge is one of `judges` in params.yaml. A judge with `by: mlx` is the model in models/base; other judges do not
read models/base.
"""

from collections.abc import Sequence
from pathlib import Path

from cantica.core.command import run
from cantica.core.counter import counter
from cantica.core.documents import read_json, read_jsonl, validate_records
from cantica.core.files import write_jsonl
from cantica.core.params import read_params
from cantica.core.records import ModelVerdict, PairwiseVerdict
from cantica.engine.backend.blas import fix_blas
from cantica.judging import verdicts as judging
from cantica.judging.held_out import EvaluationPrompt, load_prompts
from cantica.judging.local import LocalModel
from cantica.judging.rubric import Rubric
from cantica.llm.client import Client
from cantica.llm.server import Server
from cantica.llm.structured import valid_reply


def main(judge: str, arms: Path, responses: Path, held_out: Path, rubric: Path, base: Path, verdicts: Path) -> None:
    params = read_params(f"judges.{judge}", "toolchain.model", "toolchain.templates")
    options = params["judges"][judge]
    answers: judging.Responses = {}
    for arm in read_json(arms):
        file = responses / f"{arm}.jsonl"
        answers[arm] = read_jsonl(file)
        validate_records(answers[arm], "response", file)
    prompts = {prompt["id"]: prompt for prompt in load_prompts(held_out)}
    client: Client
    if options["by"] == "server":
        client = Server(options, f"judges.{judge}")
    else:
        fix_blas(params["toolchain"]["model"]["blas-core"])
        client = LocalModel(base, options["max_tokens"], params["toolchain"]["model"])
    with client:
        records = judge_answers(answers, prompts, Rubric(rubric), client, options)
    validate_records(list(records), "verdict", verdicts)
    write_jsonl(verdicts, records)
    print(f"{judge}: {client.summary()}")
    print(f"{verdicts}: {judging.summary(records)}")


def judge_answers(
    answers: judging.Responses,
    prompts: dict[str, EvaluationPrompt],
    rubric: Rubric,
    client: Client,
    options: dict,
) -> Sequence[ModelVerdict | PairwiseVerdict]:
    """Return the judge's verdicts on the responses of arms. prompts: by id. options: those of the judge in params.yaml.

    Raises InputError when the client gets no reply at all.
    """

    def ask(task: judging.Task) -> judging.Reply:
        prompt, texts = prompts[task[0]], task[1:]
        check = rubric.check(prompt["kind"], len(texts))
        return valid_reply(rubric.prompts, client, rubric.request(prompt, *texts), check=check, attempts=options["attempts"])

    alone = options["kind"] == "model"
    tasks = judging.tasks_alone(answers) if alone else judging.tasks_in_pairs(answers)
    at_a_time = options["concurrency"] if options["by"] == "server" else 1
    with counter("replies", len(tasks)) as on_reply:
        replies = judging.decide(tasks, ask, options["seed"], at_a_time, on_reply)
    if alone:
        return list(judging.verdicts_alone(answers, replies, rubric.criteria_of))
    return list(judging.verdicts_in_pairs(answers, replies, rubric.criteria_of))


if __name__ == "__main__":
    run(main)
