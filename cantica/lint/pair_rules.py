"""Rules about pairs of examples: equal and similar examples, and answers that shuffling left with their own prompt."""

from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cantica.core.documents import iterate_jsonl
from cantica.dataset.chat import Message, split_thinking, user_text, without_thinking
from cantica.dataset.repairs import Repairs
from cantica.dataset.words import fingerprint, jaccard, shingles, words
from cantica.lint.files import DataFiles
from cantica.lint.findings import Fault, SeverityPolicy
from cantica.lint.minhash import Signatures, equal_groups

MOST_PAIRS = 1000  # faults of one rule about pairs
ERROR = 0.1  # an estimated similarity may be this far below the true one: three standard errors
TEXT, ANSWER, PROMPT = range(3)  # rows of `keys`


def all_words(messages: list[Message]) -> list[str]:
    """Return the words of all turns."""
    return words(" ".join(message["content"] for message in messages))


class PairRules:
    """Compares all examples of a dataset with each other.

    Of each example, files in a temporary folder store its MinHash signature, and three fingerprints in `keys`: of all its
    words, of its answer and of its prompt.
    near_duplicates: the number of examples that are nearly a duplicate of another one; known after `faults`.
    """

    def __init__(self, files: DataFiles, policy: SeverityPolicy, folder: Path):
        self.files, self.policy = files, policy
        self.signatures = Signatures(folder, files.size)
        self.keys = np.memmap(folder / "keys", np.uint64, "w+", shape=(3, max(files.size, 1)))
        self.near_duplicates = 0

    def add(self, number: int, messages: list[Message], text: list[str]) -> None:
        """Add the next example. text: all its words."""
        answer = split_thinking(messages[-1]["content"])[1]
        self.signatures.add(shingles(text))
        self.keys[:, number] = fingerprint(text), fingerprint([answer]), fingerprint(words(user_text(messages)))

    def add_invalid(self, number: int, place: str) -> None:
        """Add a line that is not an example. It is similar to nothing."""
        self.signatures.add({place})
        self.keys[:, number] = fingerprint([place])

    def faults(self, params: dict, data: Path) -> Iterator[Fault]:
        """Yield every fault, one rule after another, and at most MOST_PAIRS of each rule."""
        settings = params["audit"]
        yield from self._equal(TEXT, "exact_duplicate", "the same text as {other}; expected a different example")
        yield from self._equal(ANSWER, "same_answer", "the same answer as {other}; expected a different answer")
        yield from self._similar("split_overlap", settings["split_overlap"], self.files.validation_start)
        yield from self._similar("near_duplicate", settings["near_duplicate"], None)
        if params["data"]["pairing"] == "shuffled":
            yield from self._unshuffled(params["data"], data)
        yield from self._unshuffled_import()

    def _equal(self, row: int, rule: str, message: str) -> Iterator[Fault]:
        """Yield a fault for each record with the same key as an earlier one, if the rule applies to both categories."""
        number = 0
        for group in equal_groups(self.keys[row]):
            firsts: dict[str, int] = {}
            for place in map(int, group):
                category = self.files.category(place)
                compared = (p for name, p in firsts.items() if self.policy.severity(rule, category, name) != "off")
                other = next(compared, None)
                firsts.setdefault(category, place)
                if other is not None and (row == TEXT or self.keys[TEXT, place] != self.keys[TEXT, other]):
                    yield self.files.pair_fault(place, other, rule, message)
                    number += 1
                    if number == MOST_PAIRS:
                        return

    def _similar(self, rule: str, threshold: float, split: int | None) -> Iterator[Fault]:
        """Yield a fault for each pair of similar examples.

        split: None for pairs in the same split; the number of the first validation record for pairs in different splits.
        """
        start, found, number = self.files.validation_start, set(), 0
        for one, other in self.signatures.similar(threshold - ERROR, split):
            if self.keys[TEXT, one] == self.keys[TEXT, other] or (split is None and one < start <= other):
                continue  # another rule reports this pair
            similarity = jaccard(*(shingles(all_words(self.files.record(place)["messages"])) for place in (one, other)))
            if similarity < threshold:
                continue
            found |= {one, other}
            if split is None:
                self.near_duplicates = len(found)
            if self.policy.severity(rule, self.files.category(one), self.files.category(other)) == "off":
                continue
            message = f"{similarity:.2f} of its five-word runs shared with {{other}}; expected less than {threshold}"
            yield self.files.pair_fault(other, one, rule, message)
            number += 1
            if number == MOST_PAIRS:
                return

    def _unshuffled(self, settings: dict, data: Path) -> Iterator[Fault]:
        """Yield a fault for each training example that still has its own answer after `data.pairing: shuffled`."""
        form = list if settings["thinking"] else without_thinking
        for file in self.files:
            if file.split != "train":
                continue
            repairs = Repairs(file.category, settings["repairs"])
            scenarios = iterate_jsonl(data / "scenarios" / f"{file.category}.jsonl")
            originals = (
                repairs.messages(scenario)
                for scenario in scenarios
                if scenario["split"] == "train" and not repairs.drops(scenario)
            )
            for number, (example, original) in enumerate(zip(file.lines, originals, strict=True)):
                if example["messages"][-1] == form(original)[-1]:
                    message = "its own answer, although data.pairing is shuffled; expected the answer to another scenario"
                    yield self.files.fault(file.start + number, example, "derangement", message)

    def _unshuffled_import(self) -> Iterator[Fault]:
        """Yield a fault for each example, in both splits, that kept its answer in a shuffled copy of another category.

        A category counts as a shuffled copy of another one if most prompts that they share have different answers, and
        most answers to the shared prompts also occur in the other category.
        """
        for (name, category), (places, unchanged) in self._shared_prompts().items():
            files = [file for file in self.files if file.category == name]
            answers = np.concatenate([self.keys[ANSWER, file.start : file.end] for file in files])
            borrowed = np.isin(self.keys[ANSWER, np.array(places, np.int64)], answers).sum()
            if len(unchanged) < len(places) < 2 * borrowed:
                shared = f"most of the {len(places)} prompts that {category} and {name} share have different answers"
                message = f"the same prompt and answer as {{other}}, although {shared}; expected the answer to another prompt"
                for number in range(0, min(len(unchanged), 2 * MOST_PAIRS), 2):
                    yield self.files.pair_fault(unchanged[number], unchanged[number + 1], "derangement", message)

    def _shared_prompts(self) -> dict[tuple[str, str], tuple[array, array]]:
        """Return {(category, later category): (records of the later one whose prompt the other has, unchanged records)}.

        Unchanged records share the answer too. After each comes the record with the same answer: place, other, place, …
        """
        shared: dict[tuple[str, str], tuple[array, array]] = {}
        for group in equal_groups(self.keys[PROMPT]):
            earlier: dict[str, list[int]] = {}
            for place in map(int, group):
                category = self.files.category(place)
                for name, others in earlier.items():
                    if name != category:
                        places, unchanged = shared.setdefault((name, category), (array("Q"), array("Q")))
                        places.append(place)
                        equal = [other for other in others if self.keys[ANSWER, other] == self.keys[ANSWER, place]]
                        unchanged.extend([place, equal[0]] if equal else [])
                earlier.setdefault(category, []).append(place)
        return shared
