"""How far several builds are, while they run."""

import shutil
import sys
import time


class Progress:
    """Print a line for each run when it ends. On a terminal, the last line shows the stages of the runs that are going on."""

    def __init__(self, names: list[str]):
        self.width = max(map(len, names))
        self.begins: dict[str, float] = {}
        self.clear = "\r\033[K" if sys.stdout.isatty() else ""

    def begin(self, name: str) -> None:
        """Count the seconds of a run from now on."""
        self.begins[name] = time.monotonic()

    def at(self, stages: dict[str, str]) -> None:
        """Show the stage that each run is at, on a terminal only."""
        if self.clear:
            text = " | ".join(self._row(name, stage) for name, stage in stages.items())
            print(f"{self.clear}{text[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)

    def end(self, name: str, how: str) -> None:
        """Print how a run ended."""
        print(f"{self.clear}{self._row(name, how)}", flush=True)

    def _row(self, name: str, state: str) -> str:
        now = time.monotonic()
        return f"{name:{self.width}}  {now - self.begins.get(name, now):5.0f} s  {state}"
