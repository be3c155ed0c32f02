"""The records of a JSON Lines file by number, without holding them in memory."""

import json
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path


class Lines(Sequence):
    """A JSON Lines file as a sequence of its records; 8 bytes a record are kept, where each line begins."""

    def __init__(self, path: Path):
        self.file = Path(path).open("rb")  # noqa: SIM115, for as long as the object lives
        self.starts = array("Q")
        position = 0
        for line in self.file:
            self.starts.append(position)
            position += len(line)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, number: int):
        self.file.seek(self.starts[number])
        return json.loads(self.file.readline())

    def texts(self) -> Iterator[bytes]:
        """The lines as they stand, in order."""
        self.file.seek(0)
        return iter(self.file.readline, b"")

    def __iter__(self) -> Iterator:
        return (self[number] for number in range(len(self)))
