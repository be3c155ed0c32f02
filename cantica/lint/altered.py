"""The rule that each example is what its scenario and the section `data` of params give, and that none is missing or added."""

import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from cantica.core.documents import iterate_jsonl
from cantica.dataset.chat import Example, with_system, without_thinking
from cantica.dataset.operations import operations_of
from cantica.dataset.repairs import Repairs
from cantica.lint.files import DataFile, DataFiles
from cantica.lint.findings import Fault

NOTHING: dict[str, Any] = {}


def altered_faults(files: DataFiles, settings: dict, scenarios: Path) -> Iterator[Fault]:
    """Yield a fault for each example that its scenario does not give; of a file, for the first that is missing or added.

    If the pairing is shuffled, the rule `derangement` checks the answers instead. settings: the section `data` of params.
    scenarios: the folder of the scenarios.
    """
    for file in files:
        shuffled = file.split == "train" and operations_of(file.category, settings)["pairing"] == "shuffled"
        records, own = map(_record, file.lines.texts()), _expected(file, settings, scenarios)
        for number, (example, expected) in enumerate(zip_longest(records, own, fillvalue=NOTHING)):
            found, id_ = example.get("id", "no example"), expected.get("id", "no further example")
            if found != id_:
                message = f"{found}; expected {id_}, in the order of the scenarios"
                yield Fault("altered", file.path.as_posix(), message, number + 1, categories=(file.category,))
                break
            turns = slice(-1) if shuffled else slice(None)
            if example["messages"][turns] != expected["messages"][turns]:
                message = f"other turns than its scenario gives; expected those of {file.category} in {scenarios}"
                yield files.fault(file.start + number, example, "altered", message)


def _record(line: bytes) -> dict[str, Any]:
    """Return the record in a line; NOTHING if it is none, which is a fault of its own."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return NOTHING
    return record if isinstance(record, dict) and "messages" in record else NOTHING


def _expected(file: DataFile, settings: dict, scenarios: Path) -> Iterator[Example]:
    """Yield the examples that the scenarios of a file give, with matched pairing."""
    operations, repairs = operations_of(file.category, settings), Repairs(file.category, settings["repairs"])
    for scenario in iterate_jsonl(scenarios / f"{file.category}.jsonl"):
        if scenario["split"] != file.split or repairs.drops(scenario):
            continue
        messages = repairs.messages(scenario)
        if not operations["thinking"]:
            messages = without_thinking(messages)
        if file.split == "train":
            messages = with_system(messages, operations["system"])
        yield {"id": scenario["id"], "origin": scenario["origin"], "messages": messages}
