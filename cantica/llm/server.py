"""A client of an OpenAI-compatible server."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from cantica.core.counter import counter
from cantica.core.errors import InputError, Problem
from cantica.dataset.chat import CLOSE, OPEN, Message, assistant_turn
from cantica.llm.client import Client

KEY, NO_KEY = "OPENAI_API_KEY", "none"
RETRIES = 8  # how often a failed request is sent again
TIMEOUT = 600  # seconds


class Reply(NamedTuple):
    """A server's reply to a chat.

    text: with its thinking between tags, if the server sends it separately. ended: whether the model stopped by itself, before
    the token limit. tokens: how many the server counted; None if it sends no number.
    """

    text: str
    ended: bool
    tokens: int | None


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
        """Return the text of the server's reply to a chat. Raises InputError if there is none after RETRIES attempts."""
        request = self._request(messages, self.options["seed"])
        return self.keep({"base_url": self.options["base_url"]} | request, lambda: self._send(request, _text))

    def complete(self, messages: list[Message], seed: int) -> Reply:
        """Return the server's reply to a chat, with a seed of its own. Raises InputError as `ask` does."""
        request = self._request(messages, seed)
        about = {"base_url": self.options["base_url"], "kept": Reply._fields}
        reply = Reply(*self.keep(about | request, lambda: self._send(request, _reply)))
        return reply._replace(text=_opened(reply.text))  # here and not in _reply, so that it holds for kept replies too

    def complete_all(self, chats: list[tuple[list[Message], int]]) -> list[Reply]:
        """Return the reply to each chat, given with its seed. `options["concurrency"]` requests are sent at a time."""
        with counter("replies", len(chats)) as on_reply, ThreadPoolExecutor(self.options["concurrency"]) as pool:
            futures = [pool.submit(self.complete, messages, seed) for messages, seed in chats]
            replies = []
            try:
                for future in futures:
                    replies.append(future.result())
                    on_reply()
            finally:
                pool.shutdown(cancel_futures=True)  # after an error, no more requests are sent
            return replies

    def _request(self, messages: list[Message], seed: int) -> dict:
        options = {key: self.options[key] for key in ("model", "temperature", "max_tokens")}
        return options | {"seed": seed, "messages": messages}

    def _send(self, request: dict, read: Callable[[Any], Any]) -> Any:
        """Send a request, and return what `read` finds in the response. Raises InputError."""
        from openai import OpenAIError

        failure: Exception | None = None
        for attempt in range(RETRIES):
            try:
                return read(self.client.chat.completions.create(**request))
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


def _text(response: Any) -> str:
    """Return the text in a response of the server."""
    return _writable(response.choices[0].message.content or "")


def _reply(response: Any) -> Reply:
    """Return the Reply in a response. Separate thinking is in `reasoning`, or in older `reasoning_content`."""
    choice, text = response.choices[0], _text(response)
    thinking = getattr(choice.message, "reasoning", None) or getattr(choice.message, "reasoning_content", None)
    if isinstance(thinking, str):
        text = _writable(assistant_turn(thinking, text) if text else f"{OPEN}\n{thinking}")
    return Reply(text, choice.finish_reason == "stop", response.usage.completion_tokens if response.usage else None)


def _opened(text: str) -> str:
    """Return a reply with the opening tag of its thinking. A reply lacks it if the server's chat template has written it."""
    before, closed, _ = text.partition(CLOSE)
    return f"{OPEN}\n{text}" if closed and OPEN not in before else text


def _writable(text: str) -> str:
    """Return a text that can be written to a file: half a surrogate pair cannot."""
    return text.encode(errors="replace").decode()
