"""The form of an example: tags in the user's turn, thinking before the answer in the assistant's."""

OPEN, CLOSE = "<think>", "</think>"


def user_turn(scenario: str, reflection: str) -> str:
    """What the model is shown: the scenario it is to have witnessed and a question about it."""
    return f"<witnessed_scenario>{scenario}</witnessed_scenario>\n<reflection>{reflection}</reflection>"


def assistant_turn(thinking: str, answer: str) -> str:
    """What the model is to say: its thinking between tags, then the answer."""
    return f"{OPEN}\n{thinking}\n{CLOSE}\n\n{answer}"


def chat_of(scenario: dict) -> list[dict]:
    """The messages of a scenario: those it was imported with, or its two turns."""
    if "messages" in scenario:
        return scenario["messages"]
    return [
        {"role": "user", "content": user_turn(scenario["scenario"], scenario["reflection"])},
        {"role": "assistant", "content": assistant_turn(scenario["thinking"], scenario["answer"])},
    ]


def asked_in(messages: list[dict]) -> str:
    """What the user says in an example, whatever is answered."""
    return " ".join(message["content"] for message in messages if message["role"] == "user")


def without_thinking(messages: list[dict]) -> list[dict]:
    """The messages with the thinking, where it is finished, left out of the assistant's turns."""
    return [m | {"content": _answer(m["content"])} if m["role"] == "assistant" else m for m in messages]


def _answer(text: str) -> str:
    _, answer, finished = split_thinking(text)
    return answer if finished else text


def split_thinking(text: str) -> tuple[str, str, bool]:
    """(thinking, answer, whether the thinking was finished) of an assistant's turn.

    A turn without tags is all answer. One whose thinking never closes is all thinking: it has no answer to judge.
    """
    before, opened, rest = text.partition(OPEN)
    if not opened or before.strip():
        return "", text.strip(), True
    thinking, closed, answer = rest.partition(CLOSE)
    return thinking.strip(), answer.strip(), bool(closed)
