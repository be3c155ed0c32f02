"""The runs of a family while they are built: working copies, whose stages run when their inputs exist in any of them."""

import shutil
from collections import Counter
from pathlib import Path

from cantica.commands.builds.build import Build
from cantica.commands.builds.engine import Engine, Task
from cantica.commands.builds.progress import Progress, Status
from cantica.commands.builds.snapshot import FIRST, Snapshot
from cantica.commands.builds.store import Store
from cantica.commands.builds.worker import Done, Order, StageFailed
from cantica.commands.dvc.logs import failed_stage, read_log
from cantica.commands.git import git
from cantica.commands.text import counted
from cantica.commands.variants.runs import COPIES, Run, finish, keep, prepare


class Building:
    """Builds runs. failed: those that failed. trained: how many steps were trained to their ends, by the run that had it done.

    branches: make a branch of each run too. store: the runs of stages that are known.
    """

    def __init__(self, progress: Progress, branches: bool, store: Store):
        self.failed: list[Run] = []
        self.trained: Counter[str] = Counter()
        self._progress, self._branches, self._store = progress, branches, store
        self._logs: dict[Build, Path] = {}
        self._shown: dict[str, Status] = {}  # by the name of the run

    def add(self, run: Run, place: float, engine: Engine) -> None:
        """Build a run; those with a smaller place go first."""
        folder = COPIES.absolute() / run.name

        def begin() -> None:
            run.log.parent.mkdir(parents=True, exist_ok=True)
            run.log.write_bytes(b"")
            self._progress.begin(run.name)
            self._show(run.name, Status({FIRST: run.log}))

        def prepared(result: Snapshot | Exception) -> None:
            if isinstance(result, Exception):
                return self._fail(run, result)
            build = Build(run.name, result, self._store)
            self._logs[build] = run.log
            engine.build(build, ended, place)

        def ended(build: Build) -> None:
            if build.failed:
                shutil.rmtree(folder, ignore_errors=True)
                return self._fail(run, *build.failed)
            last = {name: run.log for name in build.left()}
            self._show(run.name, Status(last, len(build.done), len(build.done) + len(last), build.seconds_left()))
            built = build.built()
            self._store.fetch(built)
            engine.add(Task(f"finish-{run.name}", finish, lambda cluster: (run, folder, built), finished, (place,), here=True))

        def finished(result: Exception | None) -> None:
            try:
                if isinstance(result, Exception):
                    raise result
                keep(run, folder)
            except Exception as error:
                self._fail(run, error)
            else:
                self.end(run, f"done, {counted(self.trained[run.name], 'step')} trained")
            shutil.rmtree(folder, ignore_errors=True)

        engine.add(Task(f"prepare-{run.name}", prepare, lambda cluster: (run, folder), prepared, (place,), begin, here=True))

    def end(self, run: Run, how: str) -> None:
        """Report a run whose experiment exists, and make its branch if branches are asked for."""
        if self._branches:
            git("branch", "--no-track", run.branch, run.reference)
        self._shown.pop(run.name, None)
        self._progress.end(run.name, how)

    def began(self, builds: list[Build], order: Order) -> None:
        """Show a stage that starts."""
        for build in builds:
            self._show_build(build)

    def ended(self, builds: list[Build], order: Order, result: Done | Exception) -> None:
        """Keep what a stage printed: in the log of the run that had it run, and if it failed, of all runs that need it."""
        if isinstance(result, Done) and result.ran and order.stage.startswith("train@"):
            self.trained[builds[0].name] += 1
        if isinstance(result, Exception):
            told, text = builds, str(result)
        else:
            told, text = builds[: int(result.ran)], result.log
        for build in told:
            with self._logs[build].open("a", encoding="utf-8") as log:
                log.write(text)
        for build in builds:
            self._show_build(build)

    def _fail(self, run: Run, *where: str | Exception) -> None:
        self.failed.append(run)
        for error in where:
            if isinstance(error, Exception) and not isinstance(error, StageFailed):  # it is not in the log yet
                with run.log.open("a", encoding="utf-8") as log:
                    log.write(f"{error}\n")
        stages = [failed_stage(read_log(run.log)) or "DVC" if isinstance(own, Exception) else own for own in where]
        self._shown.pop(run.name, None)
        self._progress.end(run.name, f"failed in {', '.join(stages)}, see {run.log}")

    def _show_build(self, build: Build) -> None:
        running = {stage: order.log for stage, order in build.running().items()}
        self._show(build.name, Status(running, len(build.done), len(build.done) + len(build.left()), build.seconds_left()))

    def _show(self, name: str, status: Status) -> None:
        self._shown[name] = status
        self._progress.at(dict(self._shown))
