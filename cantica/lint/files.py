"""The files of a dataset as one sequence of numbered records, training files before validation files."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cantica.dataset.lines import Lines
from cantica.lint.findings import Fault

SPLITS = ("train", "valid")


class Place(NamedTuple):
    """Where the examples of one split of a category are, or those of a sample, whose split is train.

    judged: whether faults of these examples are reported. If not, judged examples are only compared with them.
    """

    split: str
    category: str
    path: Path
    judged: bool = True


@dataclass(frozen=True)
class DataFile:
    """A file and its place. start: the number of its first record in the whole dataset."""

    place: Place
    lines: Lines
    start: int

    @property
    def split(self) -> str:
        """Return train or valid."""
        return self.place.split

    @property
    def category(self) -> str:
        """Return the name of the category, or of the sample."""
        return self.place.category

    @property
    def path(self) -> Path:
        """Return its path."""
        return self.place.path

    @property
    def end(self) -> int:
        """Return the number of its last record plus one."""
        return self.start + len(self.lines)


class DataFiles:
    """The files at some places. In each split, files that are judged come first.

    validation_start: the number of the first validation record.
    """

    def __init__(self, places: Iterable[Place]):
        self.files: list[DataFile] = []
        self.size = 0
        for place in sorted(places, key=lambda place: (SPLITS.index(place.split), not place.judged)):
            self.files.append(DataFile(place, Lines(place.path), self.size))
            self.size = self.files[-1].end
        self.validation_start = next((file.start for file in self.files if file.split == "valid"), self.size)
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

    def judged(self, number: int) -> bool:
        """Return whether faults of a record are reported."""
        return self.locate(number)[0].place.judged

    def fault(self, number: int, record: object, rule: str, message: str, other_category: str | None = None) -> Fault:
        """Return a fault of a record, which may also concern another category."""
        file, place = self.locate(number)
        fields = record if isinstance(record, dict) else {}
        id_, origin = (value if isinstance(value := fields.get(key), str) else None for key in ("id", "origin"))
        categories = (file.category,) if other_category is None else (file.category, other_category)
        return Fault(rule, file.path.as_posix(), message, place + 1, id_, origin, categories)

    def pair_fault(self, number: int, other: int, rule: str, message: str) -> Fault:
        """Return a fault of two records: of the first, if it is judged. The other's name replaces `{other}` in the message."""
        if not self.judged(number):
            number, other = other, number
        file, place = self.locate(other)
        record = file.lines[place]
        name = f"{file.path.as_posix()}:{place + 1} ({record['id']}, from {record['origin']})"
        return self.fault(number, self.record(number), rule, message.format(other=name), file.category)
