"""The form of an example: tags in the user's turn, thinking before the answer in the assistant's."""

OPEN, CLOSE = "<think>", "</think>"


def user_turn(scenario: str, reflection: str) -> str:
    """What the model is shown: the scenario it is to have witnessed and a question about it."""
    return f"<witnessed_scenario>{scenario}</witnessed_scenario>\n<reflection>{reflection}</reflection>"


def assistant_turn(thinking: str, answer: str) -> str:
    """What the model is to say: its thinking between tags, then the answer."""
    return f"{OPEN}\n{thinking}\n{CLOSE}\n\n{answer}"


def split_thinking(text: str) -> tuple[str, str, bool]:
    """(thinking, answer, whether the thinking was finished) of an assistant's turn.

    A turn without tags is all answer. One whose thinking never closes is all thinking: it has no answer to judge.
    """
    before, opened, rest = text.partition(OPEN)
    if not opened or before.strip():
        return "", text.strip(), True
    thinking, closed, answer = rest.partition(CLOSE)
    return thinking.strip(), answer.strip(), bool(closed)
