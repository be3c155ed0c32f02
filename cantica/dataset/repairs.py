"""Repairs of a category's scenarios, each with a reason: drop some, and move misplaced tags of others to the right turn."""

import re
from collections.abc import Mapping, Sequence

from cantica.core.documents import raise_any
from cantica.core.errors import Problem
from cantica.dataset.chat import Message, assistant_turn, chat_of, user_turn

PARTS = ("witnessed_scenario", "reflection", "think")
ELEMENT = re.compile(rf"<({'|'.join(PARTS)})>(.*?)</\1>", re.DOTALL)


class Repairs:
    """The repairs of one category: `data.repairs` of params.yaml, {category: {"drop" or "move_tags": [{records, reason}]}}.

    A record is named by its id or its origin.
    """

    def __init__(self, category: str, repairs: dict):
        self.category = category
        self.names = {
            kind: {name for item in items for name in item["records"]} for kind, items in repairs.get(category, {}).items()
        }
        self.used: dict[str, set[str]] = {kind: set() for kind in self.names}
        self.immovable: dict[str, None] = {}  # records whose tags cannot be moved, each once

    def drops(self, scenario: Mapping[str, object]) -> bool:
        """Return whether a scenario is left out. Call it for every scenario, so that `check` knows which names are used."""
        return "drop" in self._kinds_for(scenario)

    def messages(self, scenario: Mapping[str, object]) -> list[Message]:
        """Return the messages of a scenario, with their tags moved if the repairs say so."""
        messages = chat_of(scenario)
        if "move_tags" not in self._kinds_for(scenario):
            return messages
        moved = tags_moved(messages)
        if moved is None:
            self.immovable[f"{scenario['id']}, from {scenario['origin']}"] = None
        return moved or messages

    def check(self) -> None:
        """Raise InputError for names that no scenario has and for tags that cannot be moved. Call it after the last one."""
        known = f"the id or origin of a record in data/scenarios/{self.category}.jsonl"
        complete = f"one of each of {', '.join(f'<{part}>…</{part}>' for part in PARTS)} in two turns, and an answer"
        problems = [
            self._problem(kind, repr(name), known)
            for kind, names in self.names.items()
            for name in sorted(names - self.used[kind])
        ]
        raise_any(problems + [self._problem("move_tags", name, complete, "drop it instead") for name in self.immovable])

    def _kinds_for(self, scenario: Mapping[str, object]) -> list[str]:
        """Return the kinds of repair that name a scenario."""
        kinds = []
        for kind, names in self.names.items():
            if found := names & {scenario["id"], scenario["origin"]}:
                self.used[kind] |= found
                kinds.append(kind)
        return kinds

    def _problem(self, kind: str, got: str, expected: str, hint: str = "") -> Problem:
        return Problem("params.yaml", f"data.repairs.{self.category}.{kind}", got, expected, hint)


def tags_moved(messages: Sequence[Message]) -> list[Message] | None:
    """Return the messages with scenario and reflection in the user's turn and the thinking at the start of the assistant's.

    Return None if that is not possible. There must be one user's turn and one assistant's turn, after at most one system
    prompt, and they must contain each of PARTS once and an answer.
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
