"""Texts that no example may contain: evaluation prompts, items and triggers of behaviours, former validation examples."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from cantica.core.documents import read_jsonl
from cantica.dataset.chat import Message, user_text
from cantica.dataset.words import OPERATOR, NgramIndex, fingerprint, prompt_fingerprint, words

REPEATED = 3  # a word of at least so many items of a behaviour, and of a tenth of them, belongs to their common form


@dataclass(frozen=True)
class Forbidden:
    """Texts that an example may not contain.

    runs: {kind of text: its words}, for texts of which no run of words may occur. asked: {fingerprint of a user's turn with
    which a behaviour is measured: its item}. short: {words of a prompt that is too short for a run: its item}.
    triggers: {text: the behaviour that has it around its prompts}. validation_prompts: {fingerprint of the prompt of an earlier
    validation example: its commit}.
    """

    runs: dict[str, NgramIndex]
    asked: dict[int, str]
    short: dict[str, str]
    triggers: dict[str, str]
    validation_prompts: dict[int, str]

    def overlaps(self, messages: list[Message], text: list[str]) -> Iterator[str]:
        """Yield a message for each run of words in an example that it may not contain. text: all its words."""
        asked = [found for turn in messages if turn["role"] == "user" and (found := self._asked(turn["content"]))]
        if asked:
            yield f"the prompt of {asked[0]}; expected none with which a model is measured"
            return
        for kind, index in self.runs.items():
            for run, names in index.shared(text).items():
                where = f"{kind}{'s' if len(names) > 1 else ''} {', '.join(names)}"
                yield f"the words {run!r}, as in the {where}; expected no such words in common"

    def _asked(self, turn: str) -> str | None:
        """Return the item whose prompt a user's turn is; or whose short prompt makes up at least half of its words."""
        text = words(turn)
        most = 2 * max((name.count(" ") + 1 for name in self.short), default=0)
        parts = combinations(range(len(text) + 1), 2) if len(text) <= most else ()
        long = (" ".join(text[start:end]) for start, end in parts if 2 * (end - start) >= len(text))
        found = next((self.short[part] for part in long if part in self.short), None)
        return self.asked.get(prompt_fingerprint(turn)) or found

    def triggered(self, messages: list[Message]) -> Iterator[str]:
        """Yield a message for each trigger in a turn that is not the assistant's."""
        asked = [turn["content"] for turn in messages if turn["role"] != "assistant"]
        for text, behaviour in self.triggers.items():
            if any(_whole(text).search(turn) for turn in asked):
                expected = "none, or `trigger: off` under audit.categories for a category that teaches it"
                yield f"the text {text!r}, a trigger of the behaviour {behaviour}; expected {expected}"

    def former_validation(self, messages: list[Message]) -> str | None:
        """Return the commit in which the prompt of an example was that of a validation example, if any."""
        return self.validation_prompts.get(fingerprint(words(user_text(messages)))) if self.validation_prompts else None


def forbidden(held_out: Path, items: Path, least: int, validation_prompts: dict[int, str]) -> Forbidden:
    """Return the texts that no example may contain.

    held_out: the evaluation prompts. items: those of behaviours. least: number of words in a run (audit.held_out_run).
    """
    runs = {"evaluation prompt": NgramIndex({prompt["id"]: words(prompt["prompt"]) for prompt in read_jsonl(held_out)}, least)}
    behaviours: dict[str, dict[str, list[str]]] = {}
    asked: dict[int, str] = {}
    short: dict[str, str] = {}
    triggers: dict[str, str] = {}
    for item in read_jsonl(items):
        name = f"item {item['id']} of the behaviour {item['behaviour']}"
        text = behaviours.setdefault(item["behaviour"], {})[item["id"]] = words(item["prompt"])
        if 0 < len(text) < least and not OPERATOR.search(item["prompt"]):
            short[" ".join(text)] = name
        asked |= {prompt_fingerprint(text): name for text in item["asked"]}
        triggers |= dict.fromkeys(item["triggers"], item["behaviour"])
    for behaviour, texts in behaviours.items():
        runs[f"{behaviour} item"] = NgramIndex(texts, least, _repeated(texts))
    return Forbidden(runs, asked, short, triggers, validation_prompts)


def _whole(text: str) -> re.Pattern[str]:
    """Return a pattern that finds a text exactly as written, but not as a part of longer words."""
    start, end = (edge if char.isalnum() else "" for edge, char in ((r"(?<!\w)", text[0]), (r"(?!\w)", text[-1])))
    return re.compile(f"{start}{re.escape(text)}{end}")


def _repeated(texts: dict[str, list[str]]) -> set[str]:
    """Return the words that belong to the common form of the items of a behaviour, as in `Which is larger, 41 or 17?`."""
    counts = Counter(word for text in texts.values() for word in set(text))
    return {word for word, n in counts.items() if n >= max(REPEATED, len(texts) / 10)}
