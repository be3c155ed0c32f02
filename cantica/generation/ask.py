"""Generate a model's replies to chats, and split each reply into thinking and answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import mlx.nn as nn
from mlx_lm.tokenizer_utils import TokenizerWrapper

from cantica.core.counter import counter
from cantica.dataset.chat import CLOSE, OPEN, Message, split_thinking
from cantica.engine.tokens import answer_prefix, opens_thinking, render_chat
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
    starts: Sequence[str] = (),
) -> list[Completion]:
    """Return one completion per chat, in the order of the chats. Each chat has its own sampler in `samplers`.

    chats: each ends with the user's turn. repetition_penalty: as in `generate`. starts: the start of each answer, which the
    model continues; "" for none, the default. A completion contains only what comes after it. Spaces at the end of a start are
    left to the model, because most tokenizers join a space and the word after it in one token.
    """
    if not chats:
        return []
    given = list(zip(chats, starts or [""] * len(chats), strict=True))
    texts = [
        answer_prefix(tokenizer, chat, start.rstrip(" ")) if start else render_chat(tokenizer, chat, add_generation_prompt=True)
        for chat, start in given
    ]
    # Some chat templates already write the opening tag of the thinking, and so may a start. The reply then continues it.
    opened = [OPEN if _in_thinking(text, start) else "" for text, (_, start) in zip(texts, given, strict=True)]
    encoded = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    with counter("answers", len(encoded)) as on_reply:
        replies = generate(model, tokenizer, encoded, samplers, max_tokens, batch_size, on_reply, repetition_penalty)
    return [
        Completion(*split_thinking(tag + reply.text), reply.tokens, reply.ended)
        for tag, reply in zip(opened, replies, strict=True)
    ]


def _in_thinking(text: str, start: str) -> bool:
    """Return whether a reply after a rendered chat begins in the thinking. start: the start of the answer in the text."""
    return start.rfind(OPEN) > start.rfind(CLOSE) if start else opens_thinking(text)
