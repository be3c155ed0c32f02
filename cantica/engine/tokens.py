"""Chat examples as token ids, with the tokens that carry the loss marked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cantica.core.documents import raise_any
from cantica.core.errors import InputError, Problem
from cantica.dataset.chat import CLOSE, OPEN

SPANS = ("prompt", "thinking", "answer")


@dataclass(frozen=True)
class Encoded:
    """An example's token ids and, for each, whether the loss counts its prediction."""

    ids: list[int]
    counts: list[bool]
    cut: int  # tokens that were over the limit


def encode_examples(tokenizer, examples: list[dict], loss_on: Sequence[str], limit: int, file: Path) -> list[Encoded]:
    """Every example of a file in the model's chat format, at most `limit` tokens each; what is cut is counted.

    Raises InputError for each example in which no token is left for the loss.
    """
    encoded = [_encode(tokenizer, example["messages"], loss_on, limit, file) for example in examples]
    raise_any(
        [
            Problem(
                str(file),
                f"line {line} ({example['id']})",
                f"{len(example_.ids) + example_.cut} tokens, of which {limit} leave none of {', '.join(loss_on)}",
                "an example with tokens to learn from",
                "raise max_seq_length in params.yaml, or shorten the example",
            )
            for line, (example, example_) in enumerate(zip(examples, encoded, strict=True), 1)
            if not any(example_.counts[1:])
        ]
    )
    return encoded


def _encode(tokenizer, messages: list[dict], loss_on: Sequence[str], limit: int, file: Path) -> Encoded:
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    reply = messages[-1]["content"]
    start = text.rfind(reply)
    if start < 0:
        got = "a chat template that alters the assistant's turn"
        raise InputError(Problem(str(file), "", got, "one that writes it as it stands"))
    closed = text.find(CLOSE, start) if reply.startswith(OPEN) else -1
    answer = closed + len(CLOSE) if closed >= 0 else start
    pieces = tokenizer._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    chosen = [_span(begin, start, answer) in loss_on for begin, _ in pieces["offset_mapping"]]
    ids = pieces["input_ids"]
    return Encoded(ids[:limit], chosen[:limit], max(0, len(ids) - limit))


def _span(position: int, start: int, answer: int) -> str:
    return "prompt" if position < start else "thinking" if position < answer else "answer"


class TokenCounter:
    """Counts tokens as training does, without loading the model's weights."""

    def __init__(self, base: Path):
        from mlx_lm.utils import load_tokenizer

        self.tokenizer = load_tokenizer(base)

    def examples(self, chats: list[list[dict]]) -> list[int]:
        """Tokens of each example in the model's chat format."""
        texts = [self.tokenizer.apply_chat_template(messages, tokenize=False) for messages in chats]
        return [len(ids) for ids in self._ids(texts)]

    def count(self, text: str) -> int:
        """Tokens of a text by itself."""
        return len(self._ids([text])[0])

    def _ids(self, texts: list[str]) -> list[list[int]]:
        return self.tokenizer._tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
