"""What a user sees when an input is wrong: every fault at once, each with file, place, got, expected and what to do."""

import difflib
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One fault in one input."""

    file: str
    place: str  # a key path, a line, a block's name; "" where the file as a whole is meant
    got: str
    expected: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}: {self.place}" if self.place else self.file
        hint = f"\n    {self.hint}" if self.hint else ""
        return f"{where}\n    got       {self.got}\n    expected  {self.expected}{hint}"


class InputError(Exception):
    """One or more `Problem`s in what a person wrote. A stage's command prints them and exits with 1."""

    def __init__(self, *problems: Problem):
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def did_you_mean(word: str, known) -> str:
    """A hint that names the closest of `known`, or "" where none is close."""
    close = difflib.get_close_matches(str(word), [str(name) for name in known], n=1)
    return f"did you mean {close[0]!r}?" if close else ""
