"""`cantica variant run`: build each variant with each seed as a DVC experiment on HEAD, in a working copy.

A stage that several builds need runs once. The project's own files stay as they are.
"""

import fcntl
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cantica.commands.builds.cluster import clusters
from cantica.commands.builds.engine import Engine
from cantica.commands.builds.progress import Progress
from cantica.commands.builds.store import Store
from cantica.commands.checks.claims import read_measured
from cantica.commands.dvc.cache import cache_folder
from cantica.commands.dvc.copies import SCRATCH
from cantica.commands.dvc.mend import mend
from cantica.commands.dvc.remote import Remote
from cantica.commands.git import git, head, must
from cantica.commands.text import counted
from cantica.commands.variants.building import Building
from cantica.commands.variants.files import overlaid
from cantica.commands.variants.fit import Fit
from cantica.commands.variants.runs import COPIES, Run
from cantica.commands.yaml_text import to_text
from cantica.core.documents import raise_any
from cantica.core.errors import InputError, Problem

WRITTEN = re.compile(r"dvc\.lock|reports/|.*\.gitignore")  # the files of git that a build writes


def family(variants: list[str], seeds: list[int] | None) -> list[Run]:
    """Every variant with the first seed, then with the next; without seeds, with those of params.yaml.

    Raises InputError, also for claims that cannot be measured or decided. Measures are those of prompts/ in the working tree.
    """
    revision, text = head()
    fit = Fit(text, read_measured())
    raise_any(list(dict.fromkeys(problem for variant in variants for problem in fit.faults(variant))))
    values: list[int | None] = [*seeds] if seeds else [None]
    every = dict.fromkeys((variant, seed) for seed in values for variant in variants)
    return [Run(variant, seed, revision, to_text(overlaid(variant, text, seed))) for variant, seed in every]


def uncommitted() -> list[str]:
    """Inputs that git tracks and that differ from HEAD; files that a build writes are left out."""
    changed = must("status", "--porcelain", "--no-renames", "--untracked-files=no").splitlines()
    return [file for line in changed if not WRITTEN.match(file := line[3:])]


def run_family(runs: list[Run], progress: Progress, branches: bool, jobs: int, scheduler: str = "") -> list[Run]:
    """Build the runs that are not built yet, print a summary, and return the runs that failed.

    branches: make a branch of each run too. jobs: how many stages run at a time on this machine. scheduler: the address of a
    cluster that runs them instead. Raises ClusterFault and RemoteFault, and InputError where another family is being built in
    the project, or a branch exists with another commit.
    """
    with _alone():
        mend(Path.cwd())
        if branches:
            raise_any([fault for run in runs if (fault := _branch_fault(run))])
        store = Store(cache_folder(), Remote(Path.cwd()) if scheduler else None)
        building = Building(progress, branches, store)
        missing = [run for run in runs if not run.is_done()]
        for run in runs:
            if run not in missing:
                building.end(run, "built before")
        shutil.rmtree(COPIES, ignore_errors=True)
        try:
            with clusters(jobs, scheduler, progress.line) as (cluster, here):
                engine = Engine(cluster, here, building)
                for place, run in enumerate(missing):
                    building.add(run, place, engine)
                engine.run()
        finally:
            shutil.rmtree(COPIES, ignore_errors=True)
    built = [run for run in runs if run not in building.failed]
    steps = [step for run in built for step in run.steps()]
    summary = f"{counted(len(steps), 'step')}, {len(set(steps))} of them distinct; {building.trained.total()} trained now"
    print(f"{counted(len(built), 'experiment')}: {summary}")
    return building.failed


def _branch_fault(run: Run) -> Problem | None:
    """A Problem if the run's branch exists with another commit than the one that would be built."""
    there = git("rev-parse", "--verify", "--quiet", f"refs/heads/{run.branch}")
    if there is None or (run.is_done() and there == git("rev-parse", run.reference)):
        return None
    hint = f"`git branch -m {run.branch} NAME` renames it"
    return Problem(run.branch, "", f"a branch with another commit, {there[:9]}", "no such branch", hint)


@contextmanager
def _alone() -> Iterator[None]:
    """Allow one family at a time in the project. The lock ends with the process. Raises InputError."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with (SCRATCH / "variants.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            got = "another `cantica variant run` in this project"
            raise InputError(Problem(str(SCRATCH / "variants.lock"), "", got, "one at a time: wait until it ends")) from None
        yield
