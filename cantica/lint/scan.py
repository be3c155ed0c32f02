"""Check every example of a dataset in one pass, then compare all examples with each other."""

import json
import random
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from cantica.core.documents import Validator, faults, json_fault, validator
from cantica.dataset.chat import all_words
from cantica.lint.example_rules import EXAMPLE_RULES, from_plain_template
from cantica.lint.files import SPLITS, DataFile, DataFiles
from cantica.lint.findings import Fault, Finding, SeverityPolicy
from cantica.lint.pair_rules import PairRules
from cantica.lint.scope import Scope
from cantica.lint.statistics import SampledExample

BLOCK = 256  # examples to tokenize at a time


class Counter(Protocol):
    """Counts the tokens of examples and of texts."""

    def examples(self, chats: list) -> Iterable[int]:
        """Return the number of tokens of each chat."""

    def count(self, text: str) -> int:
        """Return the number of tokens of a text."""


class Scan:
    """The files of a scope, and the results of one pass over them.

    sizes, tokens: {split: {category: number}}. sample: random examples of the files that are judged. `tokens` and
    `sample` are complete after `findings`.
    """

    def __init__(self, scope: Scope, settings: dict, counter: Counter, scratch: Path):
        self.scope, self.settings, self.counter = scope, settings, counter
        self.policy = SeverityPolicy(settings)
        self.files = DataFiles(scope.places)
        self.pairs = PairRules(self.files, scope, self.policy, scratch)
        self.sizes: dict[str, dict[str, int]] = {split: {} for split in SPLITS}
        self.tokens: dict[str, dict[str, int]] = {split: {} for split in SPLITS}
        for file in self.files:
            self.sizes[file.split][file.category], self.tokens[file.split][file.category] = len(file.lines), 0
        self.size = sum(len(file.lines) for file in self.files if file.place.judged)
        rng, size = random.Random(self.settings["seed"]), min(self.size, self.settings["sample"])
        self.sampled = set(rng.sample(range(self.size), size))  # files that are judged come first
        self.sample: list[SampledExample] = []

    @property
    def near_duplicates(self) -> int:
        """Return the number of examples that are nearly a duplicate of another one."""
        return self.pairs.near_duplicates

    def findings(self) -> Iterator[Finding]:
        """Yield every finding of a rule that is not off: about single examples, file by file, and then about pairs."""
        check = validator("example")
        for file in self.files:
            yield from self.policy.findings(self._file_faults(file, check))
        yield from self.policy.findings(self.pairs.faults(self.settings))

    def _file_faults(self, file: DataFile, check: Validator) -> Iterator[Fault]:
        """Yield the faults of every line of a file that is judged, and add each line to `pairs`."""
        number, lines = file.start, file.lines.texts()
        while block := [_parse(line, check, file.path) for line in islice(lines, BLOCK)]:
            chats = [record["messages"] for record, wrong in block if not wrong]
            counts = iter(self.counter.examples(chats) if file.place.judged else [0] * len(chats))
            for record, wrong in block:
                found = [("schema", message) for message in wrong]
                if wrong:
                    self.pairs.add_invalid(number, f"{file.path}:{number - file.start + 1}")
                else:
                    tokens, text = next(counts), all_words(record["messages"])
                    self.tokens[file.split][file.category] += tokens
                    self.pairs.add(number, record, text)
                    if file.place.judged:
                        found += self._example_faults(record, text, tokens, file)
                    if number in self.sampled:
                        self.sample.append({"category": file.category, "split": file.split, "messages": record["messages"]})
                if file.place.judged:
                    yield from (self.files.fault(number, record, rule, message) for rule, message in found)
                number += 1

    def _example_faults(self, record: dict, text: list[str], tokens: int, file: DataFile) -> Iterator[tuple[str, str]]:
        """Yield (rule, message) for each fault that an example has by itself. text: all its words."""
        messages, forbidden = record["messages"], self.scope.forbidden
        written = [] if from_plain_template(record) else messages[-1:] if self.scope.answers_only else messages
        for rule, check in EXAMPLE_RULES.items():
            for message in check(written if rule == "cut_off" else messages):
                yield rule, message
        for message in forbidden.overlaps(messages, text):
            yield "held_out_overlap", message
        for message in forbidden.triggered(messages):
            yield "trigger", message
        if file.split == "train" and (commit := forbidden.former_validation(messages)):
            message = f"the prompt of a validation example of commit {commit}; expected no former validation example"
            yield "was_held_out", message
        if tokens > (limit := self.scope.limits[file.category]):
            yield "too_long", f"{tokens} tokens; expected at most {limit}, max_seq_length"


def _parse(line: bytes, check: Validator, path: Path) -> tuple[Any, list[str]]:
    """Return (the record in a line, its faults)."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        fault = json_fault(line.decode(errors="replace"), error)
        return {}, [f"{fault} at column {error.colno}; expected a JSON record on every line"]
    problems = faults(record, check, path)
    return record, [f"{problem.place or 'the record'}: {problem.got}; expected {problem.expected}" for problem in problems]
