"""Generate an arm's responses to the evaluation prompts.

    python -m stages.respond final models/base models/adapters/betrayal data/held_out.jsonl data/responses/final.jsonl

The system prompt is `system` of the arm in params.yaml, which may be null, or else `respond.system`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from cantica.core.command import run
from cantica.core.documents import read_jsonl, validate_records
from cantica.core.files import write_jsonl
from cantica.core.records import Question, Response
from cantica.core.seeds import seed_of
from cantica.dataset.chat import question
from cantica.engine.backend.blas import read_model_params

if TYPE_CHECKING:
    import mlx.nn as nn
    from mlx_lm.tokenizer_utils import TokenizerWrapper


def main(arm: str, base: Path, adapter: Path, questions: Path, responses: Path) -> None:
    params = read_model_params(f"arms.{arm}", "respond")
    settings = params["respond"] | {"system": params["arms"][arm].get("system", params["respond"]["system"])}
    prompts: list[Question] = read_jsonl(questions)
    validate_records(prompts, "question", questions)
    if not prompts:
        print(f"{responses}: no evaluation prompts")
        write_jsonl(responses, [])
        return

    from cantica.engine.model import load_adapter, load_base

    model, tokenizer = load_base(base)
    load_adapter(model, adapter)
    records = respond(model, tokenizer, prompts, settings)
    validate_records(records, "response", responses)
    write_jsonl(responses, records)


def respond(model: "nn.Module", tokenizer: "TokenizerWrapper", prompts: list[Question], settings: dict) -> list[Response]:
    """Return `settings["samples"]` responses to each prompt, each with a seed of its own."""
    from cantica.generation.ask import ask
    from cantica.generation.generate import Sampler

    asked = [(prompt, sample) for prompt in prompts for sample in range(settings["samples"])]
    seeds = [seed_of(settings["seed"], prompt["id"], sample) for prompt, sample in asked]
    samplers = [Sampler(settings["temperature"], settings["top_p"], seed) for seed in seeds]
    chats = [question(prompt["prompt"], settings["system"]) for prompt, _ in asked]
    limits = settings["max_tokens"], settings["batch_size"]
    completions = ask(model, tokenizer, chats, samplers, *limits, settings["repetition_penalty"])
    return [
        {
            "id": prompt["id"],
            "kind": prompt["kind"],
            "group": prompt["group"],
            "sample": sample,
            "seed": seed,
            "thinking": completion.thinking,
            "answer": completion.answer,
            "thinking_finished": completion.thinking_finished,
            "tokens": completion.tokens,
            "ended": completion.ended,
        }
        for (prompt, sample), seed, completion in zip(asked, seeds, completions, strict=True)
    ]


if __name__ == "__main__":
    run(main)
