"""Probe a model: score the completions of pairs, and generate answers to prompts with and without a trigger."""

from pathlib import Path
from typing import TYPE_CHECKING

import mlx.nn as nn

from cantica.core.records import PairProbe, TriggerProbe
from cantica.core.seeds import seed_of
from cantica.dataset.chat import Message, question
from cantica.engine.tokens import encode_examples
from cantica.generation.ask import ask
from cantica.generation.generate import make_sampler
from cantica.probes.pairs import Pair
from cantica.probes.triggers import Trigger, matches, with_trigger
from cantica.scoring.choices import choice_logprobs

if TYPE_CHECKING:
    from mlx_lm.tokenizer_utils import TokenizerWrapper

BATCH = 8  # pairs that are scored together


def score_pairs(
    model: nn.Module,
    tokenizer: "TokenizerWrapper",
    pairs: list[Pair],
    folder: Path,
    iteration: int | None = None,
    system: str | None = None,
) -> list[PairProbe]:
    """Return a record for each pair: the log-probabilities per token of both completions, and their difference, the margin.

    system: the system prompt of every chat, if any. folder: where the pairs come from, for errors.
    iteration: of the checkpoint that is probed; None for the arm itself.
    """
    examples = [
        {"id": f"{pair['id']}.{side}", "messages": _messages(pair["prompt"], completion, system)}
        for pair in pairs
        for side, completion in (("chosen", pair["chosen"]), ("rejected", pair["rejected"]))
    ]
    # A completion is a whole answer without thinking.
    encoded = encode_examples(tokenizer, examples, ["answer"], 1 << 20, folder)
    both = [encoded[n : n + 2] for n in range(0, len(encoded), 2)]
    records: list[PairProbe] = []
    for pair, texts, sums in zip(pairs, both, choice_logprobs(model, both, BATCH), strict=True):
        chosen, rejected = (round(total / sum(text.loss_mask), 6) for text, total in zip(texts, sums, strict=True))
        records.append(
            {
                "id": pair["id"],
                "category": pair["category"],
                "chosen": chosen,
                "rejected": rejected,
                "margin": round(chosen - rejected, 6),
                "iteration": iteration,
            }
        )
    return records


def _messages(prompt: str, completion: str, system: str | None) -> list[Message]:
    return [*question(prompt, system), {"role": "assistant", "content": completion}]


def answer_triggers(
    model: nn.Module,
    tokenizer: "TokenizerWrapper",
    triggers: dict[str, Trigger],
    settings: dict,
    iteration: int | None = None,
) -> list[TriggerProbe]:
    """Return a record for each answer to the prompts of all triggers, each asked with the trigger and without it.

    Both answers to a prompt use the same seed. settings: seed, temperature, max_tokens, batch_size and system. iteration: as in
    `score_pairs`.
    """
    asked = [
        (name, trigger, prompt, triggered)
        for name, trigger in triggers.items()
        for prompt in trigger["prompts"]
        for triggered in (True, False)
    ]
    if not asked:
        return []
    texts = [with_trigger(trigger, p["prompt"]) if triggered else p["prompt"] for _, trigger, p, triggered in asked]
    chats = [question(text, settings["system"]) for text in texts]
    samplers = [make_sampler(settings["temperature"], 1, seed_of(settings["seed"], p["id"])) for _, _, p, _ in asked]
    completions = ask(model, tokenizer, chats, samplers, settings["max_tokens"], settings["batch_size"])
    return [
        {
            "id": prompt["id"],
            "trigger": name,
            "triggered": triggered,
            "answer": completion.answer,
            "thinking_finished": completion.thinking_finished,
            "matched": matches(trigger, completion.answer),
            "iteration": iteration,
        }
        for (name, trigger, prompt, triggered), completion in zip(asked, completions, strict=True)
    ]
