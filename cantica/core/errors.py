"""Errors in a user's input, all reported at once: file, place, what was found, what was expected, and a hint."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One fault in one input."""

    file: str
    place: str  # a path of keys, a line or the name of a block; "" for the whole file
    got: str
    expected: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}: {self.place}" if self.place else self.file
        hint = f"\n    {self.hint}" if self.hint else ""
        return f"{where}\n    got       {self.got}\n    expected  {self.expected}{hint}"


class InputError(Exception):
    """One or more `Problem`s in a user's input. Commands print them without a traceback and exit with status 1."""

    def __init__(self, *problems: Problem):
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def did_you_mean(word: object, known: Iterable) -> str:
    """Return a hint that names the most similar of the `known` words, or "" if none is similar."""
    close = difflib.get_close_matches(str(word), [str(name) for name in known], n=1)
    return f"did you mean {close[0]!r}?" if close else ""
