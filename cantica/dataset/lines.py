"""Read the records of a JSON Lines file by number, without holding the file in memory."""

import json
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


class Lines(Sequence):
    """A JSON Lines file as a sequence of its records. Only the positions of its lines are in memory, 8 bytes each."""

    def __init__(self, path: Path):
        self.file = Path(path).open("rb")  # noqa: SIM115, it stays open as long as this object exists
        self.starts = array("Q")
        position = 0
        for line in self.file:
            self.starts.append(position)
            position += len(line)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, number: Any) -> Any:
        self.file.seek(self.starts[number])
        return json.loads(self.file.readline())

    def texts(self) -> Iterator[bytes]:
        """Yield the unparsed lines in order."""
        self.file.seek(0)
        return iter(self.file.readline, b"")

    def __iter__(self) -> Iterator:
        return (self[number] for number in range(len(self)))
