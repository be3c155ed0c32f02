"""A client of a language model. Replies are kept on disk, so the same request is never sent twice."""

import hashlib
import json
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self

from cantica.core.files import write_json
from cantica.dataset.chat import Message

FOLDER = Path(".cache/replies")


class Client(ABC):
    """Asks a language model, keeps each reply under .cache/replies/ and counts replies. Threads may share a client.

    The file name of a reply is the hash of its whole request. A subclass defines `ask`, for a server (llm/server.py)
    or for a model in a local folder (judging/local.py).
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:  # noqa: B027, a client may have nothing to close
        pass

    @abstractmethod
    def ask(self, messages: list[Message]) -> str:
        """Return the model's reply to a chat."""

    def keep(self, request: dict, send: Callable[[], Any]) -> Any:
        """Return the reply to a request: the one on disk, or a new one, which is then kept.

        request: everything that the reply depends on. send: returns a new reply, as a value that JSON can hold.
        """
        path = FOLDER / f"{hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()}.json"
        reply = _kept_reply(path)
        if reply is None:
            self.count("sent")
            reply = send()
            write_json(path, {"request": request, "reply": reply}, shared=True)
        self.count("replies")
        return reply

    def count(self, event: Literal["replies", "sent", "invalid"]) -> None:
        """Count a reply, a request that was sent, or an invalid reply."""
        with self.lock:
            self.counts[event] += 1

    def summary(self) -> str:
        """Return one line with the number of replies, of those that were on disk already, and of invalid ones."""
        replies, sent, invalid = (self.counts[event] for event in ("replies", "sent", "invalid"))
        return f"{replies} replies, {replies - sent} of them already on disk; {invalid} invalid"


def _kept_reply(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))["reply"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # no such reply, or a damaged file
