"""The files of a dataset as one sequence of numbered records, training files before validation files."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cantica.dataset.lines import Lines
from cantica.lint.findings import Fault


@dataclass(frozen=True)
class DataFile:
    """One split of one category. start: the number of its first record in the whole dataset."""

    split: str
    category: str
    path: Path
    lines: Lines
    start: int

    @property
    def end(self) -> int:
        """Return the number of its last record plus one."""
        return self.start + len(self.lines)


class DataFiles:
    """The training and validation files of all categories in the folder `data`."""

    def __init__(self, data: Path, categories: Iterable[str]):
        self.files: list[DataFile] = []
        self.size = self.validation_start = 0
        names = list(categories)
        for split in ("train", "valid"):
            self.validation_start = self.size  # after the loop: the number of the first validation record
            for category in names:
                path = data / split / f"{category}.jsonl"
                self.files.append(DataFile(split, category, path, Lines(path), self.size))
                self.size = self.files[-1].end
        self.starts = np.array([*(file.start for file in self.files), self.size])

    def __iter__(self) -> Iterator[DataFile]:
        return iter(self.files)

    def locate(self, number: int) -> tuple[DataFile, int]:
        """Return the file of a record, and the record's number in this file."""
        file = self.files[int(np.searchsorted(self.starts, number, "right")) - 1]
        return file, int(number - file.start)

    def record(self, number: int) -> Any:
        """Return a record of the dataset."""
        file, place = self.locate(number)
        return file.lines[place]

    def category(self, number: int) -> str:
        """Return the category of a record."""
        return self.locate(number)[0].category

    def fault(self, number: int, record: object, rule: str, message: str, other_category: str | None = None) -> Fault:
        """Return a fault of a record, which may also concern another category."""
        file, place = self.locate(number)
        fields = record if isinstance(record, dict) else {}
        id_, origin = (value if isinstance(value := fields.get(key), str) else None for key in ("id", "origin"))
        categories = (file.category,) if other_category is None else (file.category, other_category)
        return Fault(rule, file.path.as_posix(), message, place + 1, id_, origin, categories)

    def pair_fault(self, number: int, other: int, rule: str, message: str) -> Fault:
        """Return a fault of a record compared with another one. The other's name replaces `{other}` in the message."""
        file, place = self.locate(other)
        record = file.lines[place]
        name = f"{file.path.as_posix()}:{place + 1} ({record['id']}, from {record['origin']})"
        return self.fault(number, self.record(number), rule, message.format(other=name), file.category)
