"""How far several builds are, while they run: one live view in a terminal, otherwise a line for each run when it ends."""

import re
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cantica.commands.dvc.run import stages_run
from cantica.commands.text import duration

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

STYLES = ("bold", "", "cyan", "", "dim", "yellow")  # of the columns of the live view
TRAINED = re.compile(r"^[^:\n]+: iteration (\d+ of \d+), train_loss ([\d.]+)", re.MULTILINE)


@dataclass(frozen=True)
class Status:
    """How far a build is.

    stage: the one that runs, or ran last. done: stages that ended in this build. of: those that will run, as far as known.
    left: seconds until its end by earlier timings, without that of the running stage; expected: of that one; both None if not
    known. training: the iteration and the loss of the step that trains now.
    """

    stage: str = ""
    done: int = 0
    of: int = 0
    left: float | None = None
    expected: float | None = None
    training: str = ""


def status(log: str, expected: dict[str, float | None]) -> Status:
    """How far a build is by its log. expected: seconds of each stage that was to run, None where that is not known. Pure."""
    ran = stages_run(log)
    if not ran:
        return Status(of=len(expected), left=_sum(expected.values()))
    trained = TRAINED.findall(log[log.rindex(f"Running stage '{ran[-1]}'") :])
    training = f"iteration {trained[-1][0]}, training loss {trained[-1][1]}" if trained else ""
    to_run = {**expected, **dict.fromkeys(stage for stage in ran if stage not in expected)}
    left = _sum(seconds for stage, seconds in expected.items() if stage not in ran)
    return Status(ran[-1], len(ran) - 1, len(to_run) if expected else 0, left, expected.get(ran[-1]), training)


def _sum(seconds: Iterable[float | None]) -> float | None:
    """The sum of what is known; None if nothing is."""
    known = [own for own in seconds if own is not None]
    return sum(known) if known else None


class Progress:
    """Print a line for each run when it ends. In a terminal, a table below them shows the runs that are going on.

    live: whether there is such a table. rich leaves out colours where NO_COLOR is set.
    """

    def __init__(self, names: list[str]):
        self.width = max(map(len, names))
        self.begins: dict[str, float] = {}
        self.runs: dict[str, Status] = {}  # those that are going on
        self.stages: dict[str, tuple[str, float]] = {}  # of each run: its stage, and since when it runs
        self.table = _live_table() if sys.stdout.isatty() else None
        self.live = self.table is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.table:
            self.table.stop()

    def begin(self, name: str) -> None:
        """Count the seconds of a run from now on."""
        self.begins[name] = time.monotonic()

    def at(self, runs: dict[str, Status]) -> None:
        """Show how far each run is, in a terminal only."""
        self.runs = runs
        if self.table:
            self.table.update(self._rows(), refresh=True)

    def end(self, name: str, how: str) -> None:
        """Print how a run ended."""
        line = f"{name:{self.width}}  {self._since(name):5.0f} s  {how}"
        self.runs = {other: run for other, run in self.runs.items() if other != name}
        if self.table:
            from rich.text import Text

            self.table.update(self._rows(), refresh=True)
            # A text of its own: a style of `print` would be that of the table too.
            self.table.console.print(Text(line, "red" if how.startswith("failed") else "green"), soft_wrap=True)
        else:
            print(line, flush=True)

    def _since(self, name: str) -> float:
        now = time.monotonic()
        return now - self.begins.get(name, now)

    def _rows(self) -> "Table":
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for _ in STYLES:
            table.add_column(no_wrap=True)
        for name, run in self.runs.items():
            if name not in self.stages or self.stages[name][0] != run.stage:
                self.stages[name] = run.stage, time.monotonic()
            place = f"stage {run.done + 1} of {run.of}" if run.of else ""
            cells = [name, duration(self._since(name)), run.stage or "starts", place, self._left(name, run), run.training]
            table.add_row(*(Text(cell, style) for cell, style in zip(cells, STYLES, strict=True)))
        return table

    def _left(self, name: str, run: Status) -> str:
        """How long a run still takes."""
        if run.left is None and run.expected is None:
            return ""
        running = max(0.0, (run.expected or 0.0) - (time.monotonic() - self.stages[name][1]))
        return f"about {duration((run.left or 0.0) + running)} left"


def _live_table() -> "Live | None":
    from rich.console import Console
    from rich.live import Live

    console = Console()
    if console.is_dumb_terminal:
        return None
    table = Live(console=console, auto_refresh=False, transient=True)
    table.start()
    return table
