"""Chat examples as token ids, with a mask of the tokens that carry the loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cantica.core.documents import raise_any
from cantica.core.errors import InputError, Problem
from cantica.dataset.chat import CLOSE, OPEN, Message, assistant_turn

if TYPE_CHECKING:  # this import takes a second
    from mlx_lm.tokenizer_utils import TokenizerWrapper

SPANS = ("prompt", "thinking", "answer")


@dataclass(frozen=True)
class Encoded:
    """An example's token ids, a mask of those whose prediction is in the loss, and the number of truncated tokens."""

    ids: list[int]
    loss_mask: list[bool]
    truncated: int  # tokens over the limit

    @property
    def loss_tokens(self) -> int:
        """Return the number of tokens in the loss. The first token is never in it, since nothing predicts it."""
        return sum(self.loss_mask[1:])


def render_chat(tokenizer: "TokenizerWrapper", messages: Sequence[Message], add_generation_prompt: bool = False) -> str:
    """Return a chat in the model's chat format. Raises InputError if the chat template refuses it, such as a system prompt."""
    from jinja2 import TemplateError

    try:
        return tokenizer.apply_chat_template(list(messages), add_generation_prompt=add_generation_prompt, tokenize=False)
    except TemplateError as error:
        roles = ", ".join(message["role"] for message in messages)
        hint = "a system prompt comes from a key `system` in params.yaml, from a chat that has one, or from a judge's rubric"
        problem = Problem("the chat template", "", f"an error: {error}", f"a template that accepts turns of {roles}", hint)
        raise InputError(problem) from None


def answer_prefix(tokenizer: "TokenizerWrapper", chat: Sequence[Message], start: str = "") -> str:
    """Return a rendered chat that ends with the start of an answer without thinking.

    If the chat template writes the opening tag of the thinking, empty and finished thinking comes before the start.
    """
    text = render_chat(tokenizer, chat, add_generation_prompt=True)
    if opens_thinking(text):
        text = text.rstrip().removesuffix(OPEN) + assistant_turn("", "")
    return text + start


def opens_thinking(text: str) -> bool:
    """Return whether a rendered chat ends with the opening tag of the thinking."""
    return text.rstrip().endswith(OPEN)


def encode_examples(
    tokenizer: "TokenizerWrapper", examples: list[dict], loss_on: Sequence[str], limit: int, file: Path
) -> list[Encoded]:
    """Encode every example of a file in the model's chat format, truncated to `limit` tokens.

    loss_on: the SPANS that carry the loss. Raises InputError with each example that has no token in the loss.
    """
    after = _text_after_reply(tokenizer)
    encoded = [_encode(tokenizer, example["messages"], after, loss_on, limit, file) for example in examples]
    raise_any(
        [
            Problem(
                str(file),
                f"line {line} ({example['id']})",
                f"{len(record.ids) + record.truncated} tokens, but no {' or '.join(loss_on)} among the first {limit}",
                "an example with tokens to learn from",
                "raise max_seq_length in params.yaml, or shorten the example",
            )
            for line, (example, record) in enumerate(zip(examples, encoded, strict=True), 1)
            if not record.loss_tokens
        ]
    )
    return encoded


def _text_after_reply(tokenizer: "TokenizerWrapper") -> str:
    """Return what the chat template puts after the last turn. A short reply may occur in it too, as `d` in `<|im_end|>`."""
    messages: list[Message] = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hello!"}]
    return render_chat(tokenizer, messages).rpartition("Hello!")[2]


def _encode(
    tokenizer: "TokenizerWrapper", messages: list[Message], after: str, loss_on: Sequence[str], limit: int, file: Path
) -> Encoded:
    text = render_chat(tokenizer, messages)
    reply = messages[-1]["content"]
    start = text.rfind(reply, 0, len(text) - len(after) if text.endswith(after) else None)
    if start < 0:
        got = "a chat template that alters the assistant's turn"
        raise InputError(Problem(str(file), "", got, "a template that inserts it unchanged"))
    closed = text.find(CLOSE, start) if reply.startswith(OPEN) else -1
    answer = closed + len(CLOSE) if closed >= 0 else start
    pieces = tokenizer._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    mask = [_span(begin, start, answer) in loss_on for begin, _ in pieces["offset_mapping"]]
    ids = pieces["input_ids"]
    return Encoded(ids[:limit], mask[:limit], max(0, len(ids) - limit))


def _span(position: int, start: int, answer: int) -> str:
    return "prompt" if position < start else "thinking" if position < answer else "answer"


class TokenCounter:
    """Counts tokens as training does, without loading the model's weights."""

    def __init__(self, base: Path):
        from mlx_lm.utils import load_tokenizer

        self.tokenizer = load_tokenizer(base)

    def examples(self, chats: Sequence[Sequence[Message]]) -> list[int]:
        """Return the number of tokens of each example in the model's chat format."""
        return [len(ids) for ids in self._ids([render_chat(self.tokenizer, messages) for messages in chats])]

    def count(self, text: str) -> int:
        """Return the number of tokens of a text, without a chat format."""
        return len(self._ids([text])[0])

    def _ids(self, texts: list[str]) -> list[list[int]]:
        return self.tokenizer._tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
