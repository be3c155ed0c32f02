"""Probe a model: score the completions of pairs, and measure behaviours by answers and by log-probabilities."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import mlx.nn as nn

from cantica.core.records import BehaviourProbe, PairProbe
from cantica.core.seeds import seed_of
from cantica.dataset.chat import Message, question
from cantica.engine.tokens import answer_prefix, encode_examples
from cantica.generation.ask import Completion, ask
from cantica.generation.generate import Sampler
from cantica.probes.behaviours import Behaviour, Condition, Item, asked, needs_answer
from cantica.probes.pairs import Pair
from cantica.probes.values import answer_value, completions, logprob_value
from cantica.scoring.choices import choice_logprobs, encode_completion

if TYPE_CHECKING:
    from mlx_lm.tokenizer_utils import TokenizerWrapper

BATCH = 8  # prompts whose completions are scored together


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


@dataclass(frozen=True)
class Case:
    """One item of a behaviour under one of its conditions."""

    name: str  # of the behaviour
    behaviour: Behaviour
    item: Item
    condition: str

    @property
    def settings(self) -> Condition:
        """Return the texts of the condition."""
        return self.behaviour["conditions"][self.condition]

    @property
    def start(self) -> str:
        """Return the start of the answer that the condition gives; "" for none."""
        return self.settings.get("start", "")

    @property
    def needs_answer(self) -> bool:
        """Return whether some measure needs an answer that the model writes."""
        return any(map(needs_answer, self.behaviour["measures"].values()))

    @property
    def completions(self) -> list[str]:
        """Return the completions whose log-probabilities the measures need, each once."""
        needed = [text for measure in self.behaviour["measures"].values() for text in completions(measure, self.item)]
        return list(dict.fromkeys(needed))

    def chat(self, system: str | None) -> list[Message]:
        """Return the chat that asks the prompt. system: the system prompt, if the condition has none of its own."""
        return question(asked(self.item, self.settings), self.settings.get("system", system))


def measure_behaviours(
    model: nn.Module,
    tokenizer: "TokenizerWrapper",
    behaviours: dict[str, Behaviour],
    settings: dict,
    iteration: int | None = None,
) -> list[BehaviourProbe]:
    """Return a record for each item of each behaviour under each of its conditions.

    settings: seed, temperature, max_tokens, batch_size and system. iteration: as in `score_pairs`.
    """
    cases = [
        Case(name, behaviour, item, condition)
        for name, behaviour in behaviours.items()
        for item in behaviour["items"]
        for condition in behaviour["conditions"]
    ]
    answers = iter(_answers(model, tokenizer, [case for case in cases if case.needs_answer], settings))
    logprobs = iter(_logprobs(model, tokenizer, [case for case in cases if case.completions], settings["system"]))
    return [
        _record(case, next(answers) if case.needs_answer else None, next(logprobs) if case.completions else {}, iteration)
        for case in cases
    ]


def _answers(model: nn.Module, tokenizer: "TokenizerWrapper", cases: list[Case], settings: dict) -> list[Completion]:
    """Return the model's answer in each case. An item has the same seed under all conditions."""
    chats = [case.chat(settings["system"]) for case in cases]
    samplers = [Sampler(settings["temperature"], 1, seed_of(settings["seed"], case.item["id"])) for case in cases]
    limits = settings["max_tokens"], settings["batch_size"]
    return ask(model, tokenizer, chats, samplers, *limits, starts=[case.start for case in cases])


def _logprobs(model: nn.Module, tokenizer: "TokenizerWrapper", cases: list[Case], system: str | None) -> list[dict[str, float]]:
    """Return, for each case, {completion: its mean log-probability in nats per token}. A prompt is computed once for all."""
    groups = []
    for case in cases:
        before = answer_prefix(tokenizer, case.chat(system), case.start)
        groups.append([encode_completion(tokenizer, before, completion) for completion in case.completions])
    found = []
    for case, group, sums in zip(cases, groups, choice_logprobs(model, groups, BATCH), strict=True):
        means = [round(total / record.loss_tokens, 6) for record, total in zip(group, sums, strict=True)]
        found.append(dict(zip(case.completions, means, strict=True)))
    return found


def _record(case: Case, completion: Completion | None, logprobs: dict[str, float], iteration: int | None) -> BehaviourProbe:
    """Return the record of a case. An answer whose thinking did not finish is no answer, so its values are 0."""
    values: dict[str, float] = {}
    for name, measure in case.behaviour["measures"].items():
        if not needs_answer(measure):
            values[name] = logprob_value(measure, case.item, logprobs)
        else:
            assert completion is not None
            values[name] = answer_value(measure, case.item, completion.answer) if completion.thinking_finished else 0
    return {
        "id": case.item["id"],
        "behaviour": case.name,
        "condition": case.condition,
        "iteration": iteration,
        "answer": None if completion is None else completion.answer,
        "thinking_finished": None if completion is None else completion.thinking_finished,
        "values": values,
    }
