"""Ask a model behind an OpenAI-compatible server for responses to the evaluation prompts.

    python -m stages.respond_server large data/held_out.jsonl data/responses/large.jsonl

The arm is one of `servers` in params.yaml. It gives `respond.samples` responses to each prompt, each with a seed of its own.
The system prompt is `system` of the arm, which may be null, or else `respond.system`. Replies are kept, so that a stage that
was interrupted does not ask for them again.
"""

from pathlib import Path
from typing import cast

from cantica.core.command import run
from cantica.core.documents import read_jsonl, validate_records
from cantica.core.files import write_jsonl
from cantica.core.params import read_params
from cantica.core.records import Question, Response
from cantica.core.seeds import seed_of
from cantica.dataset.answers import answer_in
from cantica.dataset.chat import question
from cantica.llm.server import Reply, Server


def main(arm: str, questions: Path, responses: Path) -> None:
    params = read_params("respond.samples", "respond.system", f"servers.{arm}")
    options, respond = params["servers"][arm], params["respond"]
    samples, system = range(respond["samples"]), options.get("system", respond["system"])
    prompts: list[Question] = read_jsonl(questions)
    validate_records(prompts, "question", questions)
    asked = [(prompt, sample, seed_of(options["seed"], prompt["id"], sample)) for prompt in prompts for sample in samples]
    chats = [(question(prompt["prompt"], system), seed) for prompt, _, seed in asked]
    with Server(options, f"servers.{arm}") as server:
        replies = server.complete_all(chats)
        print(f"{responses}: {server.summary()}")
    records = [_response(*one, reply) for one, reply in zip(asked, replies, strict=True)]
    validate_records(records, "response", responses)
    write_jsonl(responses, records)


def _response(prompt: Question, sample: int, seed: int, reply: Reply) -> Response:
    about = {"id": prompt["id"], "kind": prompt["kind"], "group": prompt["group"], "sample": sample, "seed": seed}
    return cast(Response, about | answer_in(reply.text, reply.tokens, reply.ended))


if __name__ == "__main__":
    run(main)
