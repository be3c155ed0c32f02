"""Generate a model's replies to chats, and split each reply into thinking and answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import mlx.nn as nn
from mlx_lm.tokenizer_utils import TokenizerWrapper

from cantica.core.counter import counter
from cantica.dataset.chat import OPEN, Message, question, split_thinking
from cantica.engine.tokens import render_chat
from cantica.generation.generate import Sampler, generate


@dataclass(frozen=True)
class Completion:
    """A model's completion of a chat.

    answer: "" if the thinking did not finish. tokens: the number of tokens of thinking and answer together. ended: whether the
    model stopped by itself, before the token limit.
    """

    thinking: str
    answer: str
    thinking_finished: bool
    tokens: int
    ended: bool


def ask(
    model: nn.Module,
    tokenizer: TokenizerWrapper,
    chats: Sequence[Sequence[Message]],
    samplers: list[Sampler],
    max_tokens: int,
    batch_size: int,
    repetition_penalty: float = 1.0,
) -> list[Completion]:
    """Return one completion per chat, in the order of the chats. Each chat has its own sampler in `samplers`.

    chats: each ends with the user's turn. repetition_penalty: as in `generate`.
    """
    if not chats:
        return []
    # Some chat templates already write the opening tag of the thinking. The reply then starts inside the thinking.
    start = render_chat(tokenizer, question("?"), add_generation_prompt=True)
    opened = OPEN if start.rstrip().endswith(OPEN) else ""
    texts = [render_chat(tokenizer, chat, add_generation_prompt=True) for chat in chats]
    encoded = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    with counter("answers", len(encoded)) as on_reply:
        replies = generate(model, tokenizer, encoded, samplers, max_tokens, batch_size, on_reply, repetition_penalty)
    return [Completion(*split_thinking(opened + reply.text), reply.tokens, reply.ended) for reply in replies]
