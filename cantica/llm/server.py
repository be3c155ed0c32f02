"""A client of an OpenAI-compatible server."""

import os
import time

from cantica.core.errors import InputError, Problem
from cantica.dataset.chat import Message
from cantica.llm.client import Client

KEY, NO_KEY = "OPENAI_API_KEY", "none"
RETRIES = 8  # how often a failed request is sent again
TIMEOUT = 600  # seconds


class Server(Client):
    """Asks the server that `options` describes (base_url, model, temperature, seed, max_tokens).

    section: the key of `options` in params.yaml, for error messages. The server's key comes from the environment variable
    OPENAI_API_KEY and is never written anywhere.
    """

    def __init__(self, options: dict, section: str):
        from openai import OpenAI

        super().__init__()
        self.options, self.section = options, section
        self.key = os.environ.get(KEY) or NO_KEY
        self.client = OpenAI(base_url=options["base_url"], api_key=self.key, max_retries=RETRIES, timeout=TIMEOUT)

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def ask(self, messages: list[Message]) -> str:
        """Return the server's reply to a chat. Raises InputError if there is none after RETRIES attempts."""
        request = {key: self.options[key] for key in ("model", "temperature", "seed", "max_tokens")} | {"messages": messages}
        return self.keep({"base_url": self.options["base_url"]} | request, lambda: self._send(request))

    def _send(self, request: dict) -> str:
        from openai import OpenAIError

        failure: Exception | None = None
        for attempt in range(RETRIES):
            try:
                reply = self.client.chat.completions.create(**request).choices[0].message.content
                return reply or ""
            except (ValueError, IndexError, TypeError, AttributeError) as error:  # a malformed response: ask again
                failure = error
            except OpenAIError as error:  # the library has retried already
                failure = error
                break
            time.sleep(min(2**attempt / 4, 8))
        got = f"{self.options['base_url']}: {type(failure).__name__}: {' '.join(str(failure).split())[:300]}"
        hint = f"check that the server runs and that its key, if it needs one, is in {KEY}; replies so far are kept"
        got = got.replace(self.key, "…") if self.key != NO_KEY else got
        raise InputError(Problem("params.yaml", f"{self.section}.base_url", got, "a server that replies", hint)) from None
