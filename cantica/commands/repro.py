"""`cantica repro`: build as `dvc repro` does, several stages at a time."""

import logging
import sys
from pathlib import Path

from cantica.commands.builds.build import Build
from cantica.commands.builds.cluster import ClusterFault, clusters
from cantica.commands.builds.engine import Engine
from cantica.commands.builds.progress import Progress, Status
from cantica.commands.builds.snapshot import is_edited, take_snapshot
from cantica.commands.builds.store import Store
from cantica.commands.builds.worker import Done, Order
from cantica.commands.builds.workspace import reproduce, restore
from cantica.commands.dvc.mend import mend
from cantica.commands.dvc.project import DvcFault, dvc_faults
from cantica.commands.dvc.remote import Remote, RemoteFault
from cantica.commands.text import duration


def repro(targets: list[str], jobs: int, scheduler: str = "") -> str:
    """Build the targets, or everything, and return a summary. Ends the program with a message if a stage failed.

    scheduler: the address of a cluster that runs the stages; without one, `jobs` processes of this machine do.
    Raises InputError.
    """
    mend(Path.cwd())
    logging.getLogger("dvc").setLevel(logging.WARNING)
    logging.getLogger("dvc.stage.run").setLevel(logging.INFO)  # it says which stages DVC runs itself
    try:
        with dvc_faults():
            build = _run_stages(targets, jobs, scheduler)
            if build.done and is_edited(build.snapshot):
                sys.exit("cantica: files were edited meanwhile. What was built is kept: give the same command again to go on")
            restore(build.built())
            if not build.failed:
                reproduce(targets)
            elif possible := build.possible():
                reproduce(possible, one_by_one=True)
    except (DvcFault, RemoteFault, ClusterFault) as error:
        sys.exit(f"cantica: {error}")
    if build.failed:
        sys.exit(f"cantica: failed in {', '.join(build.failed)}")
    return ""


def _run_stages(targets: list[str], jobs: int, scheduler: str) -> Build:
    snapshot = take_snapshot(targets)
    build = Build("build", snapshot, Store(snapshot.cache, Remote(Path.cwd()) if scheduler else None))
    with Progress([build.name]) as progress, clusters(jobs, scheduler, progress.line) as (cluster, here):
        engine = Engine(cluster, here, Stages(progress))
        progress.begin(build.name)
        engine.build(build, lambda build: None)
        engine.run()
    build.store.fetch(build.built())
    return build


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
