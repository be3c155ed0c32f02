"""`cantica repro`: build as `dvc repro` does, several stages at a time."""

import contextlib
import logging
import sys
from pathlib import Path

from cantica.commands.builds.build import Build
from cantica.commands.builds.cluster import at_once, local_cluster
from cantica.commands.builds.engine import Engine
from cantica.commands.builds.progress import Progress, Status
from cantica.commands.builds.snapshot import reproduce, take_snapshot
from cantica.commands.builds.worker import Done, Order
from cantica.commands.dvc.mend import mend
from cantica.commands.dvc.project import DvcFault, dvc_faults
from cantica.commands.text import duration


def repro(targets: list[str], jobs: int) -> str:
    """Build the targets, or everything, and return a summary. Ends the program with a message if a stage failed.

    Raises InputError.
    """
    from dvc.logger import setup

    mend(Path.cwd())
    setup(logging.WARNING)
    logging.getLogger("dvc.stage.run").setLevel(logging.INFO)  # it says which stages DVC runs itself
    try:
        with dvc_faults():
            build = Build("build", take_snapshot(targets), {})
            _run_stages(build, at_once(jobs))
            reproduce(build.possible() if build.failed else targets, one_by_one=bool(build.failed))
    except DvcFault as error:
        sys.exit(f"cantica: {error}")
    if build.failed:
        sys.exit(f"cantica: failed in {', '.join(build.failed)}")
    return ""


def _run_stages(build: Build, jobs: int) -> None:
    with Progress([build.name]) as progress, contextlib.ExitStack() as stack:
        engine = Engine(lambda: stack.enter_context(local_cluster(jobs)), jobs, Stages(progress))
        progress.begin(build.name)
        engine.build(build, lambda build: None)
        engine.run()


class Stages:
    """Prints a line for each stage that ended, and what a stage that failed printed."""

    def __init__(self, progress: Progress):
        self._progress = progress

    def began(self, builds: list[Build], order: Order) -> None:
        """Show a stage that starts."""
        self._show(builds[0])

    def ended(self, builds: list[Build], order: Order, result: Done | Exception) -> None:
        """Print how a stage ended."""
        if isinstance(result, Done):
            self._progress.line(f"{order.stage}  {duration(result.seconds)}")
        else:
            self._progress.line(f"{result}\n{order.stage}  failed, see {order.log}", failed=True)
        self._show(builds[0])

    def _show(self, build: Build) -> None:
        running = {stage: order.log for stage, order in build.running().items()}
        done = len(build.done)
        self._progress.at({build.name: Status(running, done, done + len(build.left()), build.seconds_left())})
