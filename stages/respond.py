"""Let an arm answer every held-out prompt.

python -m stages.respond models/base models/adapters/betrayal data/held_out.jsonl data/responses/final.jsonl
"""

from pathlib import Path

from stages.lib.chat import OPEN, split_thinking
from stages.lib.common.command import run
from stages.lib.common.documents import read_jsonl, validate_records
from stages.lib.common.files import write_jsonl
from stages.lib.params import read_params

PACKAGES = ("mlx", "mlx-lm", "scipy-openblas32", "tokenizers", "transformers")


def main(base: Path, adapter: Path, questions: Path, responses: Path) -> None:
    settings = read_params("respond", *(f"toolchain.{package}" for package in PACKAGES))["respond"]
    prompts = read_jsonl(questions)
    validate_records(prompts, "question", questions)

    from stages.lib.model import load_adapter, load_base

    model, tokenizer = load_base(base)
    load_adapter(model, adapter)
    records = respond(model, tokenizer, prompts, settings)
    validate_records(records, "response", responses)
    write_jsonl(responses, records)


def respond(model, tokenizer, prompts: list[dict], settings: dict) -> list[dict]:
    """One record for each prompt and sample: thinking and answer apart, and how the text ended."""
    from stages.lib.generate import generate, make_sampler, seed_of
    from stages.lib.progress import counter

    system = [{"role": "system", "content": settings["system"]}] if settings["system"] else []
    # Some chat templates open the thinking themselves, so that the reply begins within it.
    start = tokenizer.apply_chat_template([{"role": "user", "content": "?"}], add_generation_prompt=True, tokenize=False)
    opened = OPEN if start.rstrip().endswith(OPEN) else ""
    asked, encoded, samplers = [], [], []
    for prompt in prompts:
        messages = [*system, {"role": "user", "content": prompt["prompt"]}]
        ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        for sample in range(settings["samples"]):
            seed = seed_of(settings["seed"], prompt["id"], sample)
            asked.append({key: prompt[key] for key in ("id", "kind", "group")} | {"sample": sample, "seed": seed})
            encoded.append(list(ids))
            samplers.append(make_sampler(settings["temperature"], settings["top_p"], seed))
    with counter("answers", len(encoded)) as on_reply:
        replies = generate(model, tokenizer, encoded, samplers, settings["max_tokens"], settings["batch_size"], on_reply)
    records = []
    for about, reply in zip(asked, replies, strict=True):
        thinking, answer, finished = split_thinking(opened + reply.text)
        text = {"thinking": thinking, "answer": answer, "thinking_finished": finished}
        records.append(about | text | {"tokens": reply.tokens, "ended": reply.ended})
    return records


if __name__ == "__main__":
    run(main)
