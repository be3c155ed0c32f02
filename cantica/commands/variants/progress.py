"""How far a long command is, and numbers as people say them."""

import shutil
import sys
import time


class Progress:
    """A line for each of some runs when it ends; on a terminal the last line tells what those are at that have begun."""

    def __init__(self, names: list[str]):
        self.width = max(map(len, names))
        self.begins: dict[str, float] = {}
        self.clear = "\r\033[K" if sys.stdout.isatty() else ""

    def begin(self, name: str) -> None:
        """The seconds of a run begin here."""
        self.begins[name] = time.monotonic()

    def at(self, stages: dict[str, str]) -> None:
        """What stage each run is at, where the line can be written again."""
        if self.clear:
            told = " | ".join(self._row(name, stage) for name, stage in stages.items())
            print(f"{self.clear}{told[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)

    def end(self, name: str, how: str) -> None:
        """How a run ended."""
        print(f"{self.clear}{self._row(name, how)}", flush=True)

    def _row(self, name: str, what: str) -> str:
        now = time.monotonic()
        return f"{name:{self.width}}  {now - self.begins.get(name, now):5.0f} s  {what}"


def counted(number: int, what: str) -> str:
    """1 step, 2 steps."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """8 s, 2 min 5 s, 3 h 20 min."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def few(names: list[str], most: int = 3) -> str:
    """The first of some names, and how many more there are."""
    return ", ".join(names) if len(names) <= most + 1 else f"{', '.join(names[:most])} and {len(names) - most} more"
