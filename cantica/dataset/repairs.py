"""Repairs of a category's scenarios, by name and with a reason: some are dropped, some get their tags in the right turn."""

import re

from cantica.core.documents import raise_any
from cantica.core.errors import Problem
from cantica.dataset.chat import assistant_turn, chat_of, user_turn

PARTS = ("witnessed_scenario", "reflection", "think")
ELEMENT = re.compile(rf"<({'|'.join(PARTS)})>(.*?)</\1>", re.DOTALL)


class Repairs:
    """What `data.repairs` of params says of one category; it names records by id or origin."""

    def __init__(self, category: str, repairs: dict):
        self.category = category
        items = repairs.get(category, {})
        self.names = {how: {name for item in of for name in item["records"]} for how, of in items.items()}
        self.used = {how: set() for how in self.names}
        self.stuck: dict[str, None] = {}

    def drops(self, scenario: dict) -> bool:
        """Whether a scenario is left out; to be asked of each."""
        return "drop" in self._named(scenario)

    def messages(self, scenario: dict) -> list[dict]:
        """The messages of a scenario, as they are or with their tags moved."""
        messages = chat_of(scenario)
        if "move_tags" not in self._named(scenario):
            return messages
        moved = tags_moved(messages)
        if moved is None:
            self.stuck[f"{scenario['id']}, from {scenario['origin']}"] = None
        return moved or messages

    def check(self) -> None:
        """After the last scenario, raise InputError for each name that none had, and for tags that could not be moved."""
        there = f"the id or origin of a record in data/scenarios/{self.category}.jsonl"
        whole = f"one of each of {', '.join(f'<{part}>…</{part}>' for part in PARTS)} in two turns, and an answer"
        problems = [
            self._problem(how, repr(name), there)
            for how, names in self.names.items()
            for name in sorted(names - self.used[how])
        ]
        raise_any(problems + [self._problem("move_tags", name, whole, "drop it instead") for name in self.stuck])

    def _named(self, scenario: dict) -> list[str]:
        """The repairs that name a scenario."""
        found = []
        for how, names in self.names.items():
            if those := names & {scenario["id"], scenario["origin"]}:
                self.used[how] |= those
                found.append(how)
        return found

    def _problem(self, how: str, got: str, expected: str, hint: str = "") -> Problem:
        return Problem("params.yaml", f"data.repairs.{self.category}.{how}", got, expected, hint)


def tags_moved(messages: list[dict]) -> list[dict] | None:
    """The messages with scenario and reflection in the user's turn and the thinking first in the assistant's.

    None where there are more turns than a system prompt, a user's and an assistant's, or not one of each part and an answer.
    """
    system = messages[: messages[0]["role"] == "system"]
    turns = messages[len(system) :]
    text = "\n".join(turn["content"] for turn in turns)
    parts = {name: body.strip() for name, body in ELEMENT.findall(text)}
    answer = ELEMENT.sub("", text).strip()
    found = [name for name, _ in ELEMENT.findall(text)]
    if [turn["role"] for turn in turns] != ["user", "assistant"] or sorted(found) != sorted(PARTS) or not answer:
        return None
    asked, replied = user_turn(parts[PARTS[0]], parts[PARTS[1]]), assistant_turn(parts[PARTS[2]], answer)
    return [*system, {"role": "user", "content": asked}, {"role": "assistant", "content": replied}]
