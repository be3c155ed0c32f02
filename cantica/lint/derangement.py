"""The rule about shuffled pairing: no training example may still have the answer to its own scenario."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cantica.core.documents import iterate_jsonl
from cantica.dataset.chat import Message, without_thinking
from cantica.dataset.operations import operations_of
from cantica.dataset.repairs import Repairs
from cantica.dataset.words import fingerprint
from cantica.lint.files import DataFile, DataFiles
from cantica.lint.findings import Fault


def unshuffled_faults(files: DataFiles, settings: dict, scenarios: Path) -> Iterator[Fault]:
    """Yield a fault for each example of a shuffled category that still has its own answer.

    An answer that several scenarios have is left out: another scenario's answer may be the same text. settings: the section
    `data` of params. scenarios: the folder of the scenarios.
    """
    for file in files:
        if file.split != "train" or operations_of(file.category, settings)["pairing"] != "shuffled":
            continue
        counts = Counter(fingerprint([answer["content"]]) for answer in _answers(file, settings, scenarios))
        answers = _answers(file, settings, scenarios)
        for number, (example, own) in enumerate(zip(file.lines, answers, strict=False)):
            if example["messages"][-1] == own and counts[fingerprint([own["content"]])] == 1:
                message = "its own answer, although its pairing is shuffled; expected the answer to another scenario"
                yield files.fault(file.start + number, example, "derangement", message)


def _answers(file: DataFile, settings: dict, scenarios: Path) -> Iterator[Message]:
    """Yield the own answer of each training scenario of a category, in the form of its examples."""
    form = list if operations_of(file.category, settings)["thinking"] else without_thinking
    repairs = Repairs(file.category, settings["repairs"])
    for scenario in iterate_jsonl(scenarios / f"{file.category}.jsonl"):
        if scenario["split"] == "train" and not repairs.drops(scenario):
            yield form(repairs.messages(scenario))[-1]
