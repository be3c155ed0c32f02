"""How far several builds are, while they run: one live view in a terminal, otherwise a line for each run when it ends."""

import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cantica.commands.text import duration

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

STYLES = ("bold", "", "cyan", "", "dim", "yellow")  # of the columns of the live view
TRAINED = re.compile(rb"^[^:\n]+: iteration (\d+ of \d+), train_loss ([\d.]+)", re.MULTILINE)
END = 10_000  # bytes at the end of a log that are read for the last loss


@dataclass(frozen=True)
class Status:
    """How far a build is.

    stages: those that run, each with the log that it writes. done: stages that ended in this build. of: those that will run, as
    far as known. left: seconds until the end by earlier timings, None if not known.
    """

    stages: Mapping[str, Path] = field(default_factory=dict)
    done: int = 0
    of: int = 0
    left: float | None = None


def training(log: Path) -> str:
    """The last iteration and loss in the log of a step that trains, or ""."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - END))
            found = TRAINED.findall(file.read())
    except OSError:  # it is not there yet, or the stage has ended
        return ""
    return f"iteration {found[-1][0].decode()}, training loss {found[-1][1].decode()}" if found else ""


class Progress:
    """Print a line for each run when it ends. In a terminal, a table below them shows the runs that are going on.

    rich leaves out colours where NO_COLOR is set.
    """

    def __init__(self, names: list[str]):
        self._width = max(map(len, names))
        self._begins: dict[str, float] = {}
        self._runs: dict[str, Status] = {}  # those that are going on
        self._at = 0.0  # when they were so
        self._stages: dict[tuple[str, str], float] = {}  # since when each stage of a run runs
        self._table = self._live_table() if sys.stdout.isatty() else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._table:
            self._table.stop()

    def begin(self, name: str) -> None:
        """Count the seconds of a run from now on."""
        self._begins[name] = time.monotonic()

    def at(self, runs: dict[str, Status]) -> None:
        """Show how far each run is, in a terminal only."""
        now = time.monotonic()
        running = [(name, stage) for name, run in runs.items() for stage in run.stages]
        self._stages = {key: self._stages.get(key, now) for key in running}
        self._runs, self._at = runs, now
        if self._table:
            self._table.refresh()

    def end(self, name: str, how: str) -> None:
        """Print how a run ended."""
        self._runs = {other: run for other, run in self._runs.items() if other != name}
        if self._table:
            self._table.refresh()  # else the line would be printed above the old table
        self.line(f"{name:{self._width}}  {self._since(name):5.0f} s  {how}", how.startswith("failed"))

    def line(self, text: str, failed: bool = False) -> None:
        """Print a line that stays."""
        if self._table:
            from rich.text import Text

            # A text of its own: a style of `print` would be that of the table too.
            self._table.console.print(Text(text, "red" if failed else "green"), soft_wrap=True)
        else:
            print(text, flush=True)

    def _since(self, name: str) -> float:
        now = time.monotonic()
        return now - self._begins.get(name, now)

    def _rows(self) -> "Table":
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for _ in STYLES:
            table.add_column(no_wrap=True)
        for name, run in self._runs.items():
            place = f"stage {run.done + 1} of {run.of}" if run.of else ""
            losses = ", ".join(filter(None, map(training, run.stages.values())))
            cells = [name, duration(self._since(name)), self._running(name, run), place, self._left(run), losses]
            table.add_row(*(Text(cell, style) for cell, style in zip(cells, STYLES, strict=True)))
        return table

    def _running(self, name: str, run: Status) -> str:
        """The stages of a run that run now, and for how long each has."""
        now, begins = time.monotonic(), self._stages
        return ", ".join(f"{stage} {duration(now - begins.get((name, stage), now))}" for stage in run.stages) or "waits"

    def _left(self, run: Status) -> str:
        """How long a run still takes."""
        return "" if run.left is None else f"about {duration(max(0.0, run.left - (time.monotonic() - self._at)))} left"

    def _live_table(self) -> "Live | None":
        from rich.console import Console
        from rich.live import Live

        console = Console()
        if console.is_dumb_terminal:
            return None
        table = Live(console=console, get_renderable=self._rows, refresh_per_second=2, transient=True)
        table.start()
        return table
