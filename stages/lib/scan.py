"""One pass over every example of a dataset: what is wrong with each, and keys on disk to find those that are alike."""

import json
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from stages.lib import lint
from stages.lib.chat import asked_in, chat_of, split_thinking, without_thinking
from stages.lib.common.documents import faults, iterate_jsonl, read_jsonl, validator
from stages.lib.earlier import held_out_before
from stages.lib.lines import Lines
from stages.lib.near import Signatures, equal_groups
from stages.lib.words import fingerprint, jaccard, runs, shingles, words

BLOCK = 256  # examples tokenized at a time
MOST = 1000  # pairs of a rule that are looked up and reported
DOUBT = 0.1  # an estimated similarity may be so far below the true one: three standard errors


class Scan:
    """A dataset's files, read once; records are numbered through them, training before held-out.

    sizes, tokens: {split: {category: number}}. sample: {"category", "messages"} of random examples of both splits.
    near: number of examples that are nearly another's duplicate; known after `findings`.
    """

    def __init__(self, data: Path, params: dict, counter, scratch: Path):
        self.params, self.settings, self.counter = params, params["audit"], counter
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
        self.keys = np.memmap(scratch / "keys", np.uint64, "w+", shape=(2, max(self.size, 1)))
        drawn = random.Random(self.settings["seed"]).sample(range(self.size), min(self.size, self.settings["sample"]))
        self.drawn, self.sample, self.near = set(drawn), [], 0

    def findings(self) -> Iterator[dict]:
        """Every finding: {"rule", "file", "line", "message"}, a file's own in its order, then those of pairs."""
        check, asked = validator("example"), _asked(self.data / "held_out.jsonl", self.settings["held_out_run"])
        before = held_out_before(self.settings["earlier"])
        for number, file in enumerate(self.files):
            yield from self._file(number, file, check, asked, before)
        yield from self._equal(0, "exact_duplicate", "the text of {other} again; expected an example of its own")
        yield from self._equal(1, "same_answer", "the answer of {other}, to another prompt; expected one of its own")
        held_out = int(self.starts[len(self.files) // 2])
        yield from self._alike("split_overlap", self.settings["split_overlap"], held_out)
        yield from self._alike("near_duplicate", self.settings["near_duplicate"], None)
        yield from self._deranged()

    def _file(self, number: int, file: Lines, check, asked: dict, before: dict) -> Iterator[dict]:
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
                    yield {"rule": rule, "file": path.as_posix(), "line": line, "message": message}

    def _record_faults(
        self, messages: list[dict], said: list[str], tokens: int, asked: dict, before: dict
    ) -> Iterator[tuple[str, str]]:
        """(rule, message) of each fault that one example has by itself."""
        for rule in ("turns", "cut_off", "personal_data"):
            yield from ((rule, message) for message in getattr(lint, rule)(messages))
        for asker, run in {asked[run]: run for run in runs(said, self.settings["held_out_run"]) if run in asked}.items():
            yield "held_out_overlap", f"{run!r}, which held-out prompt {asker} has too; expected no such run of words"
        if before and (prompt := fingerprint(words(asked_in(messages)))) in before:
            yield "was_held_out", f"a prompt that {before[prompt]} held out; expected one never held out"
        if tokens > (limit := self.params["train"]["max_seq_length"]):
            yield "too_long", f"{tokens} tokens; expected at most train.max_seq_length, {limit}"

    def _keep(self, place: int, messages: list[dict], said: list[str], category: str, split: str) -> None:
        """Put down what an example is compared by, and the example if it was drawn for the sample."""
        self.signatures.add(shingles(said))
        self.keys[:, place] = fingerprint(said), fingerprint([split_thinking(messages[-1]["content"])[1]])
        if place in self.drawn:
            self.sample.append({"category": category, "split": split, "messages": messages})

    def _equal(self, row: int, rule: str, message: str) -> Iterator[dict]:
        for group in islice(equal_groups(self.keys[row]), MOST):
            for place in group[1 : MOST + 1]:
                if row == 0 or self.keys[0, place] != self.keys[0, group[0]]:
                    yield self._at(place, rule, message.format(other=self._name(group[0])))

    def _alike(self, rule: str, threshold: float, split: int | None) -> Iterator[dict]:
        held_out, found = int(self.starts[len(self.files) // 2]), set()
        for one, other in self.signatures.alike(threshold - DOUBT, split):
            if self.keys[0, one] == self.keys[0, other] or (split is None and one < held_out <= other):
                continue  # told by another rule
            alike = jaccard(*(shingles(_words(self._record(number)["messages"])) for number in (one, other)))
            if alike >= threshold:
                found |= {one, other}
                message = f"{alike:.2f} of its runs of five words shared with {self._name(one)}; expected less than {threshold}"
                yield self._at(other, rule, message)
                if len(found) > MOST:
                    break
        if split is None:
            self.near = len(found)

    def _deranged(self) -> Iterator[dict]:
        for (split, category, path), file in zip(self.places, self.files, strict=True):
            settings = self.params["data"]
            form = list if settings["thinking"] else without_thinking
            if split != "train" or settings["pairing"] != "shuffled":
                continue
            scenarios = (r for r in iterate_jsonl(self.data / "scenarios" / f"{category}.jsonl") if r["split"] == "train")
            for line, (example, scenario) in enumerate(zip(file, scenarios, strict=True), 1):
                if example["messages"][-1] == form(chat_of(scenario))[-1]:
                    message = "its own answer, in a shuffled pairing; expected another's"
                    yield {"rule": "derangement", "file": path.as_posix(), "line": line, "message": message}

    def _where(self, place: int) -> tuple[int, int]:
        file = int(np.searchsorted(self.starts, place, "right")) - 1
        return file, int(place - self.starts[file])

    def _record(self, place: int) -> dict:
        file, number = self._where(place)
        return self.files[file][number]

    def _name(self, place: int) -> str:
        file, number = self._where(place)
        return f"{self.places[file][2].as_posix()}:{number + 1}"

    def _at(self, place: int, rule: str, message: str) -> dict:
        file, number = self._where(place)
        return {"rule": rule, "file": self.places[file][2].as_posix(), "line": number + 1, "message": message}


def _parsed(text: str, check, path: Path) -> tuple[dict, list[str]]:
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        return {}, [f"{error.msg} at column {error.colno}; expected a JSON record on every line"]
    return record, [f"{fault.place}: {fault.got}; expected {fault.expected}" for fault in faults(record, check, path)]


def _asked(held_out: Path, n: int) -> dict[str, str]:
    """The runs of n words in the held-out prompts, each with the id of the prompt that has it."""
    return {run: question["id"] for question in read_jsonl(held_out) for run in runs(words(question["prompt"]), n)}


def _words(messages: list[dict]) -> list[str]:
    """The words of all turns."""
    return words(" ".join(message["content"] for message in messages))
