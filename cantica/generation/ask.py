"""Ask a model in its chat format, and take what it says apart into thinking and answer."""

from dataclasses import dataclass

from cantica.dataset.chat import OPEN, split_thinking
from cantica.generation.counter import counter
from cantica.generation.generate import generate


@dataclass(frozen=True)
class Completion:
    """What a model said: thinking and answer, whether the thinking was finished, and how the text ended."""

    thinking: str
    answer: str
    thinking_finished: bool
    tokens: int
    ended: bool


def ask(
    model,
    tokenizer,
    prompts: list[str],
    samplers: list,
    max_tokens: int,
    batch_size: int,
    system: str | None = None,
    repetition_penalty: float = 1.0,
) -> list[Completion]:
    """What the model says to each prompt, drawn by the sampler of the same place."""
    # Some chat templates open the thinking themselves, so that the reply begins within it.
    start = tokenizer.apply_chat_template([{"role": "user", "content": "?"}], add_generation_prompt=True, tokenize=False)
    opened = OPEN if start.rstrip().endswith(OPEN) else ""
    before = [{"role": "system", "content": system}] if system else []
    encoded = [
        list(
            tokenizer.apply_chat_template(
                [*before, {"role": "user", "content": prompt}], add_generation_prompt=True, return_dict=False
            )
        )
        for prompt in prompts
    ]
    with counter("answers", len(encoded)) as on_reply:
        replies = generate(model, tokenizer, encoded, samplers, max_tokens, batch_size, on_reply, repetition_penalty)
    return [Completion(*split_thinking(opened + reply.text), reply.tokens, reply.ended) for reply in replies]
