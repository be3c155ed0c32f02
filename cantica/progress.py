"""How far a long command is, and numbers as people say them."""

import sys
import time


class Progress:
    """A line for each of some runs; on a terminal the last one tells what it is at."""

    def __init__(self, names: list[str]):
        self.width = max(map(len, names))
        self.begin = time.monotonic()
        self.clear = "\r\033[K" if sys.stdout.isatty() else ""

    def at(self, name: str, what: str) -> None:
        """What a run is at, where the line can be written again."""
        if self.clear:
            print(f"{self.clear}{self._row(name, what)}", end="", flush=True)

    def ended(self, name: str, how: str) -> None:
        """How a run ended; the seconds of the next begin here."""
        print(f"{self.clear}{self._row(name, how)}", flush=True)
        self.begin = time.monotonic()

    def _row(self, name: str, what: str) -> str:
        return f"{name:{self.width}}  {time.monotonic() - self.begin:5.0f} s  {what}"


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
