"""One pass over every example of a dataset: what is wrong with each, and keys on disk to find those that are alike."""

import json
import random
from array import array
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from cantica.core.documents import faults, iterate_jsonl, json_fault, read_jsonl, validator
from cantica.dataset.chat import asked_in, split_thinking, without_thinking
from cantica.dataset.lines import Lines
from cantica.dataset.repairs import Repairs
from cantica.dataset.words import Runs, fingerprint, jaccard, shingles, words
from cantica.lint import rules as lint
from cantica.lint.earlier import held_out_before
from cantica.lint.findings import Severities
from cantica.lint.near import Signatures, equal_groups

BLOCK = 256  # examples tokenized at a time
MOST = 1000  # findings of a rule about pairs
DOUBT = 0.1  # an estimated similarity may be so far below the true one: three standard errors
TEXT, ANSWER, PROMPT = range(3)  # rows of keys: fingerprints of an example's words, of its answer, of what the user says


class Scan:
    """A dataset's files, read once; records are numbered through them, training before held-out.

    sizes, tokens: {split: {category: number}}. sample: {"category", "messages"} of random examples of both splits.
    near: number of examples that are nearly another's duplicate; known after `findings`.
    """

    def __init__(self, data: Path, params: dict, counter, scratch: Path):
        self.params, self.settings, self.counter = params, params["audit"], counter
        self.severities = Severities(self.settings)
        self.data = data
        self.places = [(s, c, data / s / f"{c}.jsonl") for s in ("train", "valid") for c in params["categories"]]
        self.files = [Lines(path) for *_, path in self.places]
        self.starts = np.cumsum([0, *map(len, self.files)])
        self.size = int(self.starts[-1])
        self.sizes: dict = {"train": {}, "valid": {}}
        self.tokens: dict = {"train": {}, "valid": {}}
        for (split, category, _), file in zip(self.places, self.files, strict=True):
            self.sizes[split][category], self.tokens[split][category] = len(file), 0
        self.signatures = Signatures(scratch, self.size)
        self.keys = np.memmap(scratch / "keys", np.uint64, "w+", shape=(3, max(self.size, 1)))
        drawn = random.Random(self.settings["seed"]).sample(range(self.size), min(self.size, self.settings["sample"]))
        self.drawn, self.sample, self.near = set(drawn), [], 0

    def findings(self) -> Iterator[dict]:
        """Every finding that is not off: {"severity", "rule", "file", "line", "id", "origin", "message"}, waived ones with
        their "reason"; a file's own in its order, then those of pairs."""
        check, before = validator("example"), held_out_before(self.settings["earlier"])
        asked = {question["id"]: words(question["prompt"]) for question in read_jsonl(self.data / "held_out.jsonl")}
        asked = Runs(asked, self.settings["held_out_run"])
        for number, file in enumerate(self.files):
            yield from self.severities.judge(self._file(number, file, check, asked, before))
        held_out = int(self.starts[len(self.files) // 2])
        for pairs in (
            self._equal(TEXT, "exact_duplicate", "the text of {other} again; expected an example of its own"),
            self._equal(ANSWER, "same_answer", "the answer of {other}, to another prompt; expected one of its own"),
            self._alike("split_overlap", self.settings["split_overlap"], held_out),
            self._alike("near_duplicate", self.settings["near_duplicate"], None),
            self._deranged(),
            self._paired_again(),
        ):
            yield from self.severities.judge(pairs)

    def _file(self, number: int, file: Lines, check, asked: Runs, before: dict) -> Iterator[dict]:
        (split, category, path), start = self.places[number], int(self.starts[number])
        line, texts = 0, file.texts()
        while block := [_parsed(text, check, path) for text in islice(texts, BLOCK)]:
            counts = iter(self.counter.examples([record["messages"] for record, wrong in block if not wrong]))
            for record, wrong in block:
                line += 1
                place = start + line - 1
                told = [("schema", message) for message in wrong]
                if wrong:
                    self.signatures.add({f"{path}:{line}"})
                    self.keys[:, place] = fingerprint([f"{path}:{line}"])
                else:
                    messages, tokens = record["messages"], next(counts)
                    self.tokens[split][category] += tokens
                    said = _words(messages)
                    told += self._record_faults(messages, said, tokens, asked, before if split == "train" else {})
                    self._keep(place, messages, said, category, split)
                for rule, message in told:
                    yield self._found(place, record, rule, message)

    def _record_faults(
        self, messages: list[dict], said: list[str], tokens: int, asked: Runs, before: dict
    ) -> Iterator[tuple[str, str]]:
        """(rule, message) of each fault that one example has by itself."""
        for rule in ("turns", "cut_off", "personal_data"):
            yield from ((rule, message) for message in getattr(lint, rule)(messages))
        for run, askers in asked.shared(said).items():
            prompts = f"held-out prompt{'s' if len(askers) > 1 else ''} {', '.join(askers)}"
            yield "held_out_overlap", f"{run!r}, as in the {prompts}; expected no such run of words"
        if before and (prompt := fingerprint(words(asked_in(messages)))) in before:
            yield "was_held_out", f"a prompt that {before[prompt]} held out; expected one never held out"
        if tokens > (limit := self.params["train"]["max_seq_length"]):
            yield "too_long", f"{tokens} tokens; expected at most train.max_seq_length, {limit}"

    def _keep(self, place: int, messages: list[dict], said: list[str], category: str, split: str) -> None:
        """Put down what an example is compared by, and the example if it was drawn for the sample."""
        self.signatures.add(shingles(said))
        answer = split_thinking(messages[-1]["content"])[1]
        self.keys[:, place] = fingerprint(said), fingerprint([answer]), fingerprint(words(asked_in(messages)))
        if place in self.drawn:
            self.sample.append({"category": category, "split": split, "messages": messages})

    def _equal(self, row: int, rule: str, message: str) -> Iterator[dict]:
        """A finding for each record whose key an earlier one has, the first of those that the rule holds it against."""
        told = 0
        for group in equal_groups(self.keys[row]):
            firsts: dict[str, int] = {}
            for place in map(int, group):
                category = self._category(place)
                other = next((p for name, p in firsts.items() if self.severities.of(rule, category, name) != "off"), None)
                firsts.setdefault(category, place)
                if other is not None and (row == TEXT or self.keys[TEXT, place] != self.keys[TEXT, other]):
                    yield self._pair(place, other, rule, message)
                    told += 1
                    if told == MOST:
                        return

    def _alike(self, rule: str, threshold: float, split: int | None) -> Iterator[dict]:
        held_out, found, told = int(self.starts[len(self.files) // 2]), set(), 0
        for one, other in self.signatures.alike(threshold - DOUBT, split):
            if self.keys[TEXT, one] == self.keys[TEXT, other] or (split is None and one < held_out <= other):
                continue  # told by another rule
            alike = jaccard(*(shingles(_words(self._record(number)["messages"])) for number in (one, other)))
            if alike >= threshold:
                found |= {one, other}
                if split is None:
                    self.near = len(found)
                if self.severities.of(rule, self._category(one), self._category(other)) == "off":
                    continue
                shared = f"{alike:.2f} of its runs of five words shared with {{other}}; expected less than {threshold}"
                yield self._pair(other, one, rule, shared)
                told += 1
                if told == MOST:
                    return

    def _deranged(self) -> Iterator[dict]:
        """Training examples that a shuffled pairing left as they were."""
        settings = self.params["data"]
        form = list if settings["thinking"] else without_thinking
        if settings["pairing"] != "shuffled":
            return
        for (split, category, _), file, start in zip(self.places, self.files, self.starts[:-1], strict=True):
            if split != "train":
                continue
            repairs = Repairs(category, settings["repairs"])
            scenarios = (r for r in iterate_jsonl(self.data / "scenarios" / f"{category}.jsonl") if r["split"] == "train")
            chats = (repairs.messages(scenario) for scenario in scenarios if not repairs.drops(scenario))
            for number, (example, messages) in enumerate(zip(file, chats, strict=True)):
                if example["messages"][-1] == form(messages)[-1]:
                    message = "its own answer, in a shuffled pairing; expected another's"
                    yield self._found(int(start) + number, example, "derangement", message)

    def _paired_again(self) -> Iterator[dict]:
        """Rows left as they were where one category pairs the prompts and answers of another anew, held-out rows too.

        Of the prompts that two categories share, most then have another answer, and most of these answers are the other
        category's.
        """
        shared: dict[tuple[str, str], tuple[array, array]] = {}
        for group in equal_groups(self.keys[PROMPT]):
            earlier: dict[str, list[int]] = {}
            for place in map(int, group):
                category = self._category(place)
                for name, others in earlier.items():
                    if name != category:
                        places, same = shared.setdefault((name, category), (array("Q"), array("Q")))
                        places.append(place)
                        equal = [other for other in others if self.keys[ANSWER, other] == self.keys[ANSWER, place]]
                        same.extend([place, equal[0]] if equal else [])
                earlier.setdefault(category, []).append(place)
        for (name, category), (places, same) in shared.items():
            answers = np.concatenate([self.keys[ANSWER, slice(*ends)] for ends in self._slices(name)])
            borrowed = np.isin(self.keys[ANSWER, np.array(places, np.int64)], answers).sum()
            if len(same) < len(places) < 2 * borrowed:
                of = f"the {len(places)} prompts that {category} and {name} share have another answer"
                message = f"the answer that {{other}} has to the same prompt, where most of {of}; expected another's"
                for number in range(0, min(len(same), 2 * MOST), 2):
                    yield self._pair(same[number], same[number + 1], "derangement", message)

    def _slices(self, category: str) -> Iterator[tuple[int, int]]:
        ends = zip(self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True)
        return (end for end, place in zip(ends, self.places, strict=True) if place[1] == category)

    def _where(self, place: int) -> tuple[int, int]:
        file = int(np.searchsorted(self.starts, place, "right")) - 1
        return file, int(place - self.starts[file])

    def _record(self, place: int) -> dict:
        file, number = self._where(place)
        return self.files[file][number]

    def _category(self, place: int) -> str:
        return self.places[self._where(place)[0]][1]

    def _found(self, place: int, record, rule: str, message: str, other: str | None = None) -> dict:
        """A finding about a record, and about one of the category `other` if there is one."""
        file, number = self._where(place)
        _, category, path = self.places[file]
        named = {key: record.get(key) if isinstance(record, dict) else None for key in ("id", "origin")}
        named = {key: value if isinstance(value, str) else None for key, value in named.items()}
        about = {"categories": [category, other] if other else [category], "rule": rule, "file": path.as_posix()}
        return about | {"line": number + 1} | named | {"message": message}

    def _pair(self, place: int, other: int, rule: str, message: str) -> dict:
        """A finding about the record at `place`, whose message names that at `other`."""
        file, number = self._where(other)
        record = self.files[file][number]
        name = f"{self.places[file][2].as_posix()}:{number + 1} ({record['id']}, from {record['origin']})"
        return self._found(place, self._record(place), rule, message.format(other=name), self.places[file][1])


def _parsed(text: str, check, path: Path) -> tuple[dict, list[str]]:
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        return {}, [f"{json_fault(text, error)} at column {error.colno}; expected a JSON record on every line"]
    return record, [f"{fault.place}: {fault.got}; expected {fault.expected}" for fault in faults(record, check, path)]


def _words(messages: list[dict]) -> list[str]:
    """The words of all turns."""
    return words(" ".join(message["content"] for message in messages))
