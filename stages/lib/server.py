"""An OpenAI-compatible server, each of whose replies is kept as it arrives and never asked for twice."""

import hashlib
import json
import os
import threading
import time
from pathlib import Path

from stages.lib.common.errors import InputError, Problem
from stages.lib.common.files import write_json

FOLDER = Path(".cache/replies")
KEY, NO_KEY = "OPENAI_API_KEY", "none"
RETRIES, TIMEOUT = 8, 600  # of a request that meets a busy server, a broken one or a broken line; seconds


class Server:
    """Asks the server of `options` (base_url, model, temperature, seed, max_tokens); safe to share among threads.

    A reply is kept under .cache/replies/ by the hash of its whole request. The key comes from the environment
    (OPENAI_API_KEY) and goes nowhere else.
    """

    def __init__(self, options: dict):
        from openai import OpenAI

        self.options = options
        self.key = os.environ.get(KEY) or NO_KEY
        self.client = OpenAI(base_url=options["base_url"], api_key=self.key, max_retries=RETRIES, timeout=TIMEOUT)
        self.lock = threading.Lock()
        self.replies = self.fresh = self.refused = 0

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_) -> None:
        self.client.close()

    def ask(self, messages: list[dict]) -> str:
        """The text that the server replies to the messages. Raises InputError when it gives none."""
        request = {key: self.options[key] for key in ("model", "temperature", "seed", "max_tokens")} | {"messages": messages}
        whole = {"base_url": self.options["base_url"]} | request
        path = FOLDER / f"{hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()}.json"
        reply = _kept(path)
        if reply is None:
            reply = self._send(request)
            write_json(path, {"request": whole, "reply": reply})
        self.count("replies")
        return reply

    def _send(self, request: dict) -> str:
        from openai import OpenAIError

        self.count("fresh")
        for attempt in range(RETRIES):
            try:
                reply = self.client.chat.completions.create(**request).choices[0].message.content
                return reply or ""
            except (ValueError, IndexError, TypeError, AttributeError) as error:  # what came is no reply: ask again
                said = error
            except OpenAIError as error:
                said = error
                break
            time.sleep(min(2**attempt / 4, 8))
        got = f"{self.options['base_url']}: {type(said).__name__}: {' '.join(str(said).split())[:300]}"
        hint = f"see that the server runs and that its key, if it needs one, is in {KEY}; replies so far are kept"
        got = got.replace(self.key, "…") if self.key != NO_KEY else got
        raise InputError(Problem("params.yaml", "data.model.base_url", got, "a server that replies", hint)) from None

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
