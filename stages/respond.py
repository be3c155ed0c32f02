"""Let an arm answer every held-out prompt.

python -m stages.respond models/base models/adapters/betrayal data/held_out.jsonl data/responses/final.jsonl
"""

from dataclasses import asdict
from pathlib import Path

from cantica.core.command import run
from cantica.core.documents import read_jsonl, validate_records
from cantica.core.files import write_jsonl
from cantica.engine.backend.blas import read_model_params


def main(base: Path, adapter: Path, questions: Path, responses: Path) -> None:
    settings = read_model_params("respond")["respond"]
    prompts = read_jsonl(questions)
    validate_records(prompts, "question", questions)

    from cantica.engine.model import load_adapter, load_base

    model, tokenizer = load_base(base)
    load_adapter(model, adapter)
    records = respond(model, tokenizer, prompts, settings)
    validate_records(records, "response", responses)
    write_jsonl(responses, records)


def respond(model, tokenizer, prompts: list[dict], settings: dict) -> list[dict]:
    """One record for each prompt and sample: thinking and answer apart, and how the text ended."""
    from cantica.generation.ask import ask
    from cantica.generation.generate import make_sampler, seed_of

    asked = [
        {key: prompt[key] for key in ("id", "kind", "group")}
        | {"sample": sample, "seed": seed_of(settings["seed"], prompt["id"], sample)}
        for prompt in prompts
        for sample in range(settings["samples"])
    ]
    texts = [prompt["prompt"] for prompt in prompts for _ in range(settings["samples"])]
    samplers = [make_sampler(settings["temperature"], settings["top_p"], about["seed"]) for about in asked]
    limits = settings["max_tokens"], settings["batch_size"]
    answers = ask(model, tokenizer, texts, samplers, *limits, settings["system"], settings["repetition_penalty"])
    return [about | asdict(said) for about, said in zip(asked, answers, strict=True)]


if __name__ == "__main__":
    run(main)
