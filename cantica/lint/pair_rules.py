"""Rules about pairs of examples: equal and similar examples, and imports whose shuffled pairing kept answers in place."""

from array import array
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from cantica.dataset.chat import all_words, split_thinking, user_text
from cantica.dataset.words import fingerprint, jaccard, prompt_fingerprint, shingles, words
from cantica.lint.example_rules import from_plain_template
from cantica.lint.files import DataFiles
from cantica.lint.findings import Fault, SeverityPolicy
from cantica.lint.minhash import Signatures, equal_groups
from cantica.lint.scope import Scope

MOST_PAIRS = 1000  # faults of one rule about pairs
ERROR = 0.1  # an estimated similarity may be this far below the true one: three standard errors
TEXT, ANSWER, PROMPT = range(3)  # rows of `keys`


class PairRules:
    """Compares the examples of a dataset with each other, those of two categories if `scope.compared` says so.

    Of each example, files in a temporary folder store its MinHash signature, and three fingerprints in `keys`: of all its
    words, of its answer and of its prompt; `free` says whether it may share its answer with others.
    near_duplicates: the number of examples that are nearly a duplicate of another one; known after `faults`.
    """

    def __init__(self, files: DataFiles, scope: Scope, policy: SeverityPolicy, folder: Path):
        self.files, self.scope, self.policy = files, scope, policy
        self.signatures = Signatures(folder, files.size)
        self.keys = np.memmap(folder / "keys", np.uint64, "w+", shape=(3, max(files.size, 1)))
        self.free = np.zeros(files.size, bool)
        self.near_duplicates = 0

    def add(self, number: int, record: dict, text: list[str]) -> None:
        """Add the next example. text: all its words."""
        messages = record["messages"]
        answer = split_thinking(messages[-1]["content"])[1]
        self.signatures.add(shingles(text))
        self.keys[:, number] = fingerprint(text), fingerprint([answer]), prompt_fingerprint(user_text(messages))
        self.free[number] = from_plain_template(record)

    def add_invalid(self, number: int, place: str) -> None:
        """Add a line that is not an example. It is similar to nothing."""
        self.signatures.add({place})
        self.keys[:, number] = fingerprint([place])

    def faults(self, settings: dict) -> Iterator[Fault]:
        """Yield every fault, one rule after another, and at most MOST_PAIRS of each rule. settings: the section `audit`."""
        yield from islice(self._exact_duplicates(), MOST_PAIRS)
        yield from islice(self._same_answers(), MOST_PAIRS)
        yield from islice(self._prompts_in_both_splits(), MOST_PAIRS)
        yield from islice(self._similar("split_overlap", settings["split_overlap"], self.files.validation_start), MOST_PAIRS)
        yield from islice(self._similar("near_duplicate", settings["near_duplicate"], None), MOST_PAIRS)
        yield from self._unshuffled_imports()

    def _exact_duplicates(self) -> Iterator[Fault]:
        """Yield a fault for each record with the same words as an earlier one that it is compared with."""
        for group in equal_groups(self.keys[TEXT]):
            firsts: dict[str, int] = {}
            for place in map(int, group):
                category = self.files.category(place)
                other = next((p for p in firsts.values() if self._applies("exact_duplicate", p, place)), None)
                firsts.setdefault(category, place)
                if other is not None:
                    message = "the same text as {other}; expected a different example"
                    yield self.files.pair_fault(place, other, "exact_duplicate", message)

    def _same_answers(self) -> Iterator[Fault]:
        """Yield a fault for each record with another prompt and the same answer as an earlier one of its category.

        Plain templates are left out: their authors repeat answers on purpose.
        """
        for group in equal_groups(self.keys[ANSWER]):
            firsts: dict[str, int] = {}
            for place in map(int, group[~self.free[group]]):
                other = firsts.setdefault(self.files.category(place), place)
                if self.keys[TEXT, place] != self.keys[TEXT, other] and self._applies("same_answer", other, place):
                    message = "the same answer as {other}; expected a different answer"
                    yield self.files.pair_fault(place, other, "same_answer", message)

    def _prompts_in_both_splits(self) -> Iterator[Fault]:
        """Yield a fault for each training example with the prompt of a validation example, whatever their answers are."""
        for group in equal_groups(self.keys[PROMPT]):
            train, valid = np.split(group, [np.searchsorted(group, self.files.validation_start)])
            firsts = {self.files.category(place): place for place in valid[::-1].tolist()}
            for place in train.tolist():
                different = (p for p in firsts.values() if self.keys[TEXT, p] != self.keys[TEXT, place])
                other = next((p for p in different if self._applies("split_overlap", place, p)), None)
                if other is not None:
                    message = "the prompt of {other}; expected no prompt of a validation example"
                    yield self.files.pair_fault(place, other, "split_overlap", message)

    def _applies(self, rule: str, one: int, other: int) -> bool:
        """Return whether a rule about pairs is to be applied to two records."""
        names = self.files.category(one), self.files.category(other)
        judged = self.files.judged(one) or self.files.judged(other)
        return judged and self.scope.compared(*names) and self.policy.severity(rule, *names) != "off"

    def _similar(self, rule: str, threshold: float, split: int | None) -> Iterator[Fault]:
        """Yield a fault for each pair of similar examples.

        split: None for pairs in the same split; the number of the first validation record for pairs in different splits.
        """
        start, found = self.files.validation_start, set()
        for one, other in self.signatures.similar(threshold - ERROR, split):
            reported = one < start <= other if split is None else self.keys[PROMPT, one] == self.keys[PROMPT, other]
            if reported or self.keys[TEXT, one] == self.keys[TEXT, other]:
                continue  # by another rule, or for its prompt
            if not self.scope.compared(self.files.category(one), self.files.category(other)):
                continue
            similarity, what = self._similarity(one, other)
            if similarity < threshold:
                continue
            found |= {one, other}
            if split is None:
                self.near_duplicates = len(found)
            if self._applies(rule, one, other):
                message = f"{similarity:.2f} of {what} five-word runs shared with {{other}}; expected less than {threshold}"
                yield self.files.pair_fault(other, one, rule, message)

    def _similarity(self, one: int, other: int) -> tuple[float, str]:
        """Return (the Jaccard similarity of two examples, whose it is): that of their prompts, if their answers are equal.

        An answer may be repeated on purpose, which does not make two examples more similar. Several answers of a sample to one
        prompt are wanted too, so of these only the answers are compared.
        """
        same_answer, same_prompt = (self.keys[row, one] == self.keys[row, other] for row in (ANSWER, PROMPT))
        messages = [self.files.record(place)["messages"] for place in (one, other)]
        if same_answer:
            texts, what = [words(user_text(turns)) for turns in messages], "its prompt's"
        elif same_prompt and self.scope.answers_only:
            texts, what = [words(turns[-1]["content"]) for turns in messages], "its answer's"
        else:
            texts, what = [all_words(turns) for turns in messages], "its"
        return jaccard(*map(shingles, texts)), what

    def _unshuffled_imports(self) -> Iterator[Fault]:
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
