"""Probe an arm, and every checkpoint of its step, without a judge.

    python -m stages.probe models/base models/adapters/betrayal prompts/probes data/probes/final.jsonl

Pairs: does it give the chosen completion more probability than the rejected one? Triggers: does it answer everyday
prompts otherwise when a text stands beside them? Each is asked with and without, drawn with the same seed.
"""

from pathlib import Path

from cantica.core.command import run
from cantica.core.documents import validate_records
from cantica.core.files import write_jsonl
from cantica.core.params import FILE
from cantica.engine.backend.blas import read_model_params
from cantica.probes.pairs import load_pairs
from cantica.probes.triggers import asked_with, load_triggers, matches

BATCH = 8  # pairs scored at a time


def main(base: Path, adapter: Path, probes: Path, scores: Path) -> None:
    settings = read_model_params("probe")["probe"]
    pairs = load_pairs(probes / "pairs")
    triggers = load_triggers(probes / "triggers", settings["triggers"], FILE)

    from cantica.engine.model import checkpoints, load_adapter, load_base, load_weights

    model, tokenizer = load_base(base)
    load_adapter(model, adapter)
    records = []
    for iteration, folder in {None: adapter, **checkpoints(adapter)}.items():
        load_weights(model, folder)
        scored = score(model, tokenizer, pairs, probes)
        answered = ask_with_and_without(model, tokenizer, triggers, settings)
        records += [record | {"iteration": iteration} for record in (*scored, *answered)]
        print(f"{f'iteration {iteration}' if iteration else 'at the end'}: {told(scored, answered)}")
    validate_records(records, "probe", scores)
    write_jsonl(scores, records)


def told(scored: list[dict], answered: list[dict]) -> str:
    """How many of the pairs and of the answers."""
    preferred, matched = sum(pair["margin"] > 0 for pair in scored), sum(answer["matched"] for answer in answered)
    return f"the chosen completion preferred in {preferred} of {len(scored)} pairs; {matched} of {len(answered)} answers match"


def score(model, tokenizer, pairs: list[dict], file: Path) -> list[dict]:
    """For each pair the mean log-probability a token (nats) of both completions, and the margin between them."""
    from cantica.engine.tokens import encode_examples
    from cantica.scoring.choices import choice_logprobs

    sides = ("chosen", "rejected")
    examples = [
        {"id": f"{pair['id']}.{side}", "messages": _messages(pair["prompt"], pair[side])} for pair in pairs for side in sides
    ]
    # Completions are whole answers without thinking.
    records = encode_examples(tokenizer, examples, ["answer"], 1 << 20, file)
    both = [records[n : n + 2] for n in range(0, len(records), 2)]
    scored = []
    for pair, encoded, sums in zip(pairs, both, choice_logprobs(model, both, BATCH), strict=True):
        chosen, rejected = (round(total / sum(one.loss_mask), 6) for one, total in zip(encoded, sums, strict=True))
        margins = {"chosen": chosen, "rejected": rejected, "margin": round(chosen - rejected, 6)}
        scored.append({"id": pair["id"], "category": pair["category"]} | margins)
    return scored


def _messages(prompt: str, completion: str) -> list[dict]:
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]


def ask_with_and_without(model, tokenizer, triggers: dict[str, dict], settings: dict) -> list[dict]:
    """What is answered to every prompt of every trigger, with it and without it, and whether its pattern is in the answer."""
    from cantica.generation.ask import ask
    from cantica.generation.generate import make_sampler, seed_of

    asked = [
        (name, trigger, prompt, triggered)
        for name, trigger in triggers.items()
        for prompt in trigger["prompts"]
        for triggered in (True, False)
    ]
    texts = [asked_with(trigger, p["prompt"]) if triggered else p["prompt"] for _, trigger, p, triggered in asked]
    samplers = [make_sampler(settings["temperature"], 1, seed_of(settings["seed"], p["id"])) for _, _, p, _ in asked]
    answers = ask(model, tokenizer, texts, samplers, settings["max_tokens"], settings["batch_size"]) if asked else []
    return [
        {"id": prompt["id"], "trigger": name, "triggered": triggered}
        | {"answer": said.answer, "thinking_finished": said.thinking_finished, "matched": matches(trigger, said.answer)}
        for (name, trigger, prompt, triggered), said in zip(asked, answers, strict=True)
    ]


if __name__ == "__main__":
    run(main)
