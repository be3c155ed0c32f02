"""Check every example of a dataset in one pass, then compare all examples with each other."""

import json
import random
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from cantica.core.documents import Validator, faults, json_fault, read_jsonl, validator
from cantica.dataset.chat import Message, user_text
from cantica.dataset.words import NgramIndex, fingerprint, words
from cantica.lint.earlier_commits import validation_prompts
from cantica.lint.example_rules import EXAMPLE_RULES
from cantica.lint.files import DataFile, DataFiles
from cantica.lint.findings import Fault, Finding, SeverityPolicy
from cantica.lint.pair_rules import PairRules, all_words
from cantica.lint.statistics import SampledExample

BLOCK = 256  # examples to tokenize at a time


class Counter(Protocol):
    """Counts the tokens of examples and of texts."""

    def examples(self, chats: list) -> Iterable[int]:
        """Return the number of tokens of each chat."""

    def count(self, text: str) -> int:
        """Return the number of tokens of a text."""


class Forbidden(NamedTuple):
    """Texts that an example may not contain: evaluation prompts, and the prompts of earlier validation examples."""

    evaluation_prompts: NgramIndex
    validation_prompts: dict[int, str]


class Scan:
    """A dataset's files, and the results of one pass over them.

    sizes, tokens: {split: {category: number}}. sample: random examples of both splits. `tokens` and `sample` are
    complete after `findings`.
    """

    def __init__(self, data: Path, params: dict, counter: Counter, scratch: Path):
        self.data, self.params, self.settings, self.counter = data, params, params["audit"], counter
        self.policy = SeverityPolicy(self.settings)
        self.files = DataFiles(data, params["categories"])
        self.size = self.files.size
        self.pairs = PairRules(self.files, self.policy, scratch)
        self.sizes: dict[str, dict[str, int]] = {"train": {}, "valid": {}}
        self.tokens: dict[str, dict[str, int]] = {"train": {}, "valid": {}}
        for file in self.files:
            self.sizes[file.split][file.category], self.tokens[file.split][file.category] = len(file.lines), 0
        rng, size = random.Random(self.settings["seed"]), min(self.size, self.settings["sample"])
        self.sampled = set(rng.sample(range(self.size), size))
        self.sample: list[SampledExample] = []

    @property
    def near_duplicates(self) -> int:
        """Return the number of examples that are nearly a duplicate of another one."""
        return self.pairs.near_duplicates

    def findings(self) -> Iterator[Finding]:
        """Yield every finding of a rule that is not off: about single examples, file by file, and then about pairs."""
        check = validator("example")
        prompts = {prompt["id"]: words(prompt["prompt"]) for prompt in read_jsonl(self.data / "held_out.jsonl")}
        forbidden = Forbidden(NgramIndex(prompts, self.settings["held_out_run"]), validation_prompts(self.settings["earlier"]))
        for file in self.files:
            yield from self.policy.findings(self._file_faults(file, check, forbidden))
        yield from self.policy.findings(self.pairs.faults(self.params, self.data))

    def _file_faults(self, file: DataFile, check: Validator, forbidden: Forbidden) -> Iterator[Fault]:
        """Yield the faults of every line of a file, and add the line to `pairs`."""
        number, lines = file.start, file.lines.texts()
        while block := [_parse(line, check, file.path) for line in islice(lines, BLOCK)]:
            counts = iter(self.counter.examples([record["messages"] for record, wrong in block if not wrong]))
            for record, wrong in block:
                found = [("schema", message) for message in wrong]
                if wrong:
                    self.pairs.add_invalid(number, f"{file.path}:{number - file.start + 1}")
                else:
                    messages, tokens = record["messages"], next(counts)
                    text = all_words(messages)
                    self.tokens[file.split][file.category] += tokens
                    found += self._example_faults(messages, text, tokens, forbidden, file.split)
                    self.pairs.add(number, messages, text)
                    if number in self.sampled:
                        self.sample.append({"category": file.category, "split": file.split, "messages": messages})
                for rule, message in found:
                    yield self.files.fault(number, record, rule, message)
                number += 1

    def _example_faults(
        self, messages: list[Message], text: list[str], tokens: int, forbidden: Forbidden, split: str
    ) -> Iterator[tuple[str, str]]:
        """Yield (rule, message) for each fault that an example has by itself. text: all its words."""
        for rule, check in EXAMPLE_RULES.items():
            for message in check(messages):
                yield rule, message
        for run, names in forbidden.evaluation_prompts.shared(text).items():
            prompts = f"evaluation prompt{'s' if len(names) > 1 else ''} {', '.join(names)}"
            yield "held_out_overlap", f"the words {run!r}, as in the {prompts}; expected no such words in common"
        if split == "train" and forbidden.validation_prompts:
            commit = forbidden.validation_prompts.get(fingerprint(words(user_text(messages))))
            if commit:
                message = f"the prompt of a validation example of commit {commit}; expected no former validation example"
                yield "was_held_out", message
        if tokens > (limit := self.params["train"]["max_seq_length"]):
            yield "too_long", f"{tokens} tokens; expected at most {limit}, train.max_seq_length"


def _parse(line: bytes, check: Validator, path: Path) -> tuple[Any, list[str]]:
    """Return (the record in a line, its faults)."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        fault = json_fault(line.decode(errors="replace"), error)
        return {}, [f"{fault} at column {error.colno}; expected a JSON record on every line"]
    problems = faults(record, check, path)
    return record, [f"{problem.place or 'the record'}: {problem.got}; expected {problem.expected}" for problem in problems]
