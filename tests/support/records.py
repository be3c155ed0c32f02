"""Chat records of random words."""

import random
import re
from pathlib import Path

from cantica.dataset.chat import assistant_turn, user_turn

WORDS = sorted({word for word in re.findall("[a-z]{4,}", Path("LICENSE").read_text().lower())})


def text(seed, n: int = 40) -> str:
    """A sentence of n random words, another for each seed."""
    return " ".join(random.Random(f"text {seed}").choices(WORDS, k=n)).capitalize() + "."


def chat(seed, **changes: str) -> list[dict]:
    """A sound example."""
    parts = {name: text(f"{seed} {name}") for name in ("scenario", "thinking", "answer")} | {"reflection": f"Why {seed}?"}
    parts |= changes
    return [
        {"role": "user", "content": user_turn(parts["scenario"], parts["reflection"])},
        {"role": "assistant", "content": assistant_turn(parts["thinking"], parts["answer"])},
    ]


def said(messages: list[dict], *, user: str | None = None, assistant: str | None = None) -> list[dict]:
    return [
        {"role": "user", "content": user or messages[0]["content"]},
        {"role": "assistant", "content": assistant or messages[1]["content"]},
    ]
