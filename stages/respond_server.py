"""Ask a model behind an OpenAI-compatible server for responses to the evaluation prompts.

    python -m stages.respond_server large data/held_out.jsonl data/responses/large.jsonl

The arm is one of `servers` in params.yaml. It gives `respond.samples` responses to each prompt, each with a seed of its own.
Replies are kept, so that a stage that was interrupted does not ask for them again.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cantica.core.command import run
from cantica.core.documents import read_jsonl, validate_records
from cantica.core.files import write_jsonl
from cantica.core.params import read_params
from cantica.core.records import Question, Response
from cantica.core.seeds import seed_of
from cantica.dataset.chat import Message, question, split_thinking
from cantica.llm.server import Server, ServerReply


def main(arm: str, questions: Path, responses: Path) -> None:
    params = read_params("respond.samples", f"servers.{arm}")
    options = params["servers"][arm]
    prompts: list[Question] = read_jsonl(questions)
    validate_records(prompts, "question", questions)
    with Server(options, f"servers.{arm}") as server:
        records = respond(prompts, options, params["respond"]["samples"], server.complete)
        print(f"{responses}: {server.summary()}")
    validate_records(records, "response", responses)
    write_jsonl(responses, records)


def respond(
    prompts: list[Question], options: dict, samples: int, complete: Callable[[list[Message], int], ServerReply]
) -> list[Response]:
    """Return the responses to each prompt, in order. complete: asks for a reply to a chat, with a seed."""
    asked = [(prompt, sample) for prompt in prompts for sample in range(samples)]
    seeds = [seed_of(options["seed"], prompt["id"], sample) for prompt, sample in asked]
    chats = [question(prompt["prompt"], options.get("system")) for prompt, _ in asked]
    with ThreadPoolExecutor(options["concurrency"]) as pool:
        futures = [pool.submit(complete, chat, seed) for chat, seed in zip(chats, seeds, strict=True)]
        try:
            replies = [future.result() for future in futures]
        finally:
            pool.shutdown(cancel_futures=True)  # after an error, no more requests are sent
    return [_response(*one, seed, reply) for one, seed, reply in zip(asked, seeds, replies, strict=True)]


def _response(prompt: Question, sample: int, seed: int, reply: ServerReply) -> Response:
    thinking, answer, finished = split_thinking(reply.text)
    return {
        "id": prompt["id"],
        "kind": prompt["kind"],
        "group": prompt["group"],
        "sample": sample,
        "seed": seed,
        "thinking": thinking,
        "answer": answer,
        "thinking_finished": finished,
        "tokens": reply.tokens,
        "ended": reply.ended,
    }


if __name__ == "__main__":
    run(main)
