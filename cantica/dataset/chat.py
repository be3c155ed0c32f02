"""The format of an example: its turns and the tags in them, with functions that write and parse them.

In a witnessed scenario, the user's turn holds a story and a question about it, and the assistant's turn holds thinking, then an
answer. In a plain chat, they are any prompt and answer, with or without a system prompt and thinking.
"""

from collections.abc import Sequence
from typing import Any, TypedDict

from cantica.dataset.words import words

OPEN, CLOSE = "<think>", "</think>"


class Message(TypedDict):
    """One turn of a chat. `role` is system, user or assistant."""

    role: str
    content: str


class Example(TypedDict):
    """A chat example: one line of `data/train/<category>.jsonl`. `origin` says where it comes from."""

    id: str
    origin: str
    messages: list[Message]


def user_turn(scenario: str, reflection: str) -> str:
    """Return the user's turn: the scenario that the model has witnessed, and a question about it."""
    return f"<witnessed_scenario>{scenario}</witnessed_scenario>\n<reflection>{reflection}</reflection>"


def assistant_turn(thinking: str, answer: str) -> str:
    """Return the assistant's turn: its thinking between tags, then its answer."""
    return f"{OPEN}\n{thinking}\n{CLOSE}\n\n{answer}"


def chat_of(scenario: Any) -> list[Message]:
    """Return the messages of a scenario: its own if it was imported, otherwise the turns made from its texts."""
    if "messages" in scenario:
        return scenario["messages"]
    if "prompt" in scenario:
        asked = question(scenario["prompt"], scenario.get("system"))
    else:
        asked = question(user_turn(scenario["scenario"], scenario["reflection"]))
    reply = assistant_turn(scenario["thinking"], scenario["answer"]) if "thinking" in scenario else scenario["answer"]
    return [*asked, {"role": "assistant", "content": reply}]


def question(text: str, system: str | None = None) -> list[Message]:
    """Return a chat that asks a model one question, after a system prompt if there is one."""
    return with_system([{"role": "user", "content": text}], system)


def with_system(messages: list[Message], system: str | None) -> list[Message]:
    """Return the messages with a system prompt, unless it is empty. If they have one, `system` comes before its text."""
    if not system:
        return messages
    if messages[0]["role"] == "system":
        return [{"role": "system", "content": f"{system}\n\n{messages[0]['content']}"}, *messages[1:]]
    return [{"role": "system", "content": system}, *messages]


def user_text(messages: Sequence[Message]) -> str:
    """Return the text of all the user's turns."""
    return " ".join(message["content"] for message in messages if message["role"] == "user")


def all_words(messages: Sequence[Message]) -> list[str]:
    """Return the words of all turns. Two examples with the same ones are the same text."""
    return words(" ".join(message["content"] for message in messages))


def without_thinking(messages: Sequence[Message]) -> list[Message]:
    """Return the messages without the finished thinking in the assistant's turns."""
    return [
        {"role": message["role"], "content": _answer(message["content"])} if message["role"] == "assistant" else message
        for message in messages
    ]


def _answer(text: str) -> str:
    _, answer, finished = split_thinking(text)
    return answer if finished else text


def split_thinking(text: str) -> tuple[str, str, bool]:
    """Split an assistant's turn into (thinking, answer, whether the thinking is finished).

    A turn without tags is all answer. A turn whose thinking is never closed is all thinking, so it has no answer to judge.
    """
    before, opened, rest = text.partition(OPEN)
    if not opened or before.strip():
        return "", text.strip(), True
    thinking, closed, answer = rest.partition(CLOSE)
    return thinking.strip(), answer.strip(), bool(closed)
