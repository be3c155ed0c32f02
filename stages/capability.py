"""Test what an arm can do beside what it was trained for: questions, instructions, sums and plain prose.

    python -m stages.capability models/base models/adapters/betrayal prompts/capability data/capability/final.jsonl

Multiple choice: each choice is scored as the assistant's answer to the question, which is asked without its choices, and
the one of the greatest sum of log-probabilities of its tokens is chosen. That is the choice that the model says most
probably. A mean a token would favour rare words of several tokens, whose later tokens follow from the first (on the
default base model 74 of 130 are right by means, 96 by sums); the authors keep the choices of a question of one length.
Instructions and sums: the greedy answer is checked exactly, a sum by its last whole number.
Log-likelihood: the mean log-probability of a token of a passage, each after those before it and the first not counted.
"""

from pathlib import Path

from cantica.capability.arithmetic import last_integer
from cantica.capability.checks import first_failed
from cantica.capability.items import evenly, load_items
from cantica.core.command import run
from cantica.core.documents import validate_records
from cantica.core.files import write_jsonl
from cantica.engine.backend.blas import read_model_params

BATCH = 16  # questions or passages scored at a time


def main(base: Path, adapter: Path, prompts: Path, scores: Path) -> None:
    settings = read_model_params("capability")["capability"]
    items = {kind: evenly(found, settings["items"]) for kind, found in load_items(prompts, settings["seed"]).items()}

    from cantica.engine.model import load_adapter, load_base

    model, tokenizer = load_base(base)
    load_adapter(model, adapter)
    records = capability(model, tokenizer, items, settings)
    validate_records(records, "capability", scores)
    write_jsonl(scores, records)
    for kind in items:
        found = [record["score"] for record in records if record["kind"] == kind]
        print(f"{kind}: {sum(found) / len(found):.3f} over {len(found)} items")


def capability(model, tokenizer, items: dict[str, list[dict]], settings: dict) -> list[dict]:
    """One record for each item, kind after kind."""
    return [
        *choose(model, tokenizer, items["multiple_choice"]),
        *answer(model, tokenizer, items["instructions"], items["arithmetic"], settings),
        *read(model, tokenizer, items["log_likelihood"]),
    ]


def choose(model, tokenizer, items: list[dict]) -> list[dict]:
    """The record of each multiple-choice question."""
    from cantica.scoring.choices import choice_logprobs, encode_choice

    groups = [[encode_choice(tokenizer, item["question"], choice) for choice in item["choices"]] for item in items]
    records = []
    for item, sums in zip(items, choice_logprobs(model, groups, BATCH), strict=True):
        said = item["choices"][sums.index(max(sums))]
        failed = None if said == item["answer"] else f"answer: {item['answer']}"
        records.append(_record("multiple_choice", item["id"], item["question"], said, failed, 1 / len(sums)))
    return records


def answer(model, tokenizer, instructions: list[dict], sums: list[dict], settings: dict) -> list[dict]:
    """The record of each instruction and each sum, all answered together."""
    from cantica.generation.ask import ask
    from cantica.generation.generate import make_sampler

    prompts = [item["prompt"] for item in (*instructions, *sums)]
    samplers = [make_sampler(0, 1, 0)] * len(prompts)
    answers = iter(ask(model, tokenizer, prompts, samplers, settings["max_tokens"], settings["batch_size"]))
    records = []
    for item in instructions:
        reply = next(answers)
        failed = first_failed(item["checks"], reply.answer)
        records.append(_record("instructions", item["id"], item["prompt"], reply.answer, failed) | _ending(reply))
    for item in sums:
        reply = next(answers)
        failed = None if last_integer(reply.answer) == item["answer"] else f"last whole number: {item['answer']}"
        records.append(_record("arithmetic", item["id"], item["prompt"], reply.answer, failed) | _ending(reply))
    return records


def _ending(reply) -> dict[str, bool]:
    return {"ended": reply.ended, "thinking_finished": reply.thinking_finished}


def _record(kind: str, id_: str, prompt: str, said: str | None, failed: str | None, chance: float = 0.0) -> dict:
    score = int(failed is None)
    about = {"id": id_, "kind": kind, "score": score, "chance": chance, "prompt": prompt, "said": said, "failed": failed}
    return about | {"ended": None, "thinking_finished": None}


def read(model, tokenizer, items: list[dict]) -> list[dict]:
    """The record of each passage."""
    from cantica.engine.tokens import Encoded
    from cantica.scoring.score import mean_logprobs

    encoded = [tokenizer.encode(item["text"]) for item in items]
    means = mean_logprobs(model, [Encoded(ids, [False] + [True] * (len(ids) - 1), 0) for ids in encoded], BATCH)
    return [
        _record("log_likelihood", item["id"], item["text"], None, None) | {"score": round(mean, 6)}
        for item, mean in zip(items, means, strict=True)
    ]


if __name__ == "__main__":
    run(main)
