"""An OpenAI-compatible server, each of whose replies is kept as it arrives and never asked for twice."""

import os
import time

from cantica.core.errors import InputError, Problem
from cantica.llm.replies import Replies

KEY, NO_KEY = "OPENAI_API_KEY", "none"
RETRIES, TIMEOUT = 8, 600  # of a request that meets a busy server, a broken one or a broken line; seconds


class Server(Replies):
    """Asks the server of `options` (base_url, model, temperature, seed, max_tokens), which stand under `section` of params.

    The key comes from the environment (OPENAI_API_KEY) and goes nowhere else.
    """

    def __init__(self, options: dict, section: str):
        from openai import OpenAI

        super().__init__()
        self.options, self.section = options, section
        self.key = os.environ.get(KEY) or NO_KEY
        self.client = OpenAI(base_url=options["base_url"], api_key=self.key, max_retries=RETRIES, timeout=TIMEOUT)

    def __exit__(self, *_) -> None:
        self.client.close()

    def ask(self, messages: list[dict]) -> str:
        """The text that the server replies to the messages. Raises InputError when it gives none."""
        request = {key: self.options[key] for key in ("model", "temperature", "seed", "max_tokens")} | {"messages": messages}
        return self.keep({"base_url": self.options["base_url"]} | request, lambda: self._send(request))

    def _send(self, request: dict) -> str:
        from openai import OpenAIError

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
        raise InputError(Problem("params.yaml", f"{self.section}.base_url", got, "a server that replies", hint)) from None
