"""The rule about shuffled pairing: no training example may still have the answer to its own scenario."""

from collections.abc import Iterator
from pathlib import Path

from cantica.core.documents import iterate_jsonl
from cantica.dataset.chat import without_thinking
from cantica.dataset.operations import operations_of
from cantica.dataset.repairs import Repairs
from cantica.lint.files import DataFiles
from cantica.lint.findings import Fault


def unshuffled_faults(files: DataFiles, settings: dict, scenarios: Path) -> Iterator[Fault]:
    """Yield a fault for each example of a shuffled category that still has its own answer.

    settings: the section `data` of params. scenarios: the folder of the scenarios.
    """
    for file in files:
        operations = operations_of(file.category, settings)
        if file.split != "train" or operations["pairing"] != "shuffled":
            continue
        form = list if operations["thinking"] else without_thinking
        repairs = Repairs(file.category, settings["repairs"])
        originals = (
            repairs.messages(scenario)
            for scenario in iterate_jsonl(scenarios / f"{file.category}.jsonl")
            if scenario["split"] == "train" and not repairs.drops(scenario)
        )
        for number, (example, original) in enumerate(zip(file.lines, originals, strict=True)):
            if example["messages"][-1] == form(original)[-1]:
                message = "its own answer, although its pairing is shuffled; expected the answer to another scenario"
                yield files.fault(file.start + number, example, "derangement", message)
