"""Replies of a language model, each kept as it arrives and never asked for twice."""

import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path

from cantica.core.files import write_json

FOLDER = Path(".cache/replies")


class Replies:
    """Keeps replies under .cache/replies/ by the hash of the whole request, and counts; safe to share among threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.replies = self.fresh = self.refused = 0

    def __enter__(self) -> "Replies":
        return self

    def __exit__(self, *_) -> None:
        pass

    def keep(self, request: dict, reply_to: Callable[[], str]) -> str:
        """The reply that is kept for a request, which holds everything that the reply hangs on, or a new one."""
        path = FOLDER / f"{hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()}.json"
        reply = _kept(path)
        if reply is None:
            self.count("fresh")
            reply = reply_to().encode(errors="replace").decode()  # half a surrogate pair cannot be written down
            write_json(path, {"request": request, "reply": reply}, shared=True)
        self.count("replies")
        return reply

    def count(self, what: str) -> None:
        """Add one to `replies`, `fresh` or `refused`."""
        with self.lock:
            setattr(self, what, getattr(self, what) + 1)

    def told(self) -> str:
        """How many replies there were, from where, and how many did not fit."""
        return f"{self.replies} replies, {self.replies - self.fresh} of them kept from before; {self.refused} did not fit"


def _kept(path: Path) -> str | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))["reply"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # none yet, or damaged
