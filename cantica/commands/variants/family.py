"""`cantica variant run`: build each variant with each seed as a DVC experiment on HEAD, in a working copy.

The builds share DVC's run cache, so a stage that several of them need runs once. The project's own files stay as they are.
"""

import fcntl
import re
import shutil
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import wait
from pathlib import Path

from cantica.commands.checks.claims import read_measured
from cantica.commands.dvc.copies import SCRATCH
from cantica.commands.dvc.mend import mend
from cantica.commands.git import git, head, must
from cantica.commands.text import counted
from cantica.commands.variants.files import overlaid
from cantica.commands.variants.fit import Fit
from cantica.commands.variants.progress import Progress
from cantica.commands.variants.runs import COPIES, Build, Run
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


def run_family(runs: list[Run], progress: Progress, branches: bool = False, jobs: int = 1) -> list[Run]:
    """Build the runs that are not built yet, `jobs` at a time, print a summary, and return the runs that failed.

    branches: make a branch of each run too. Raises InputError where another family is being built in the project, or a branch
    exists with another commit.
    """
    trained, failed = 0, []
    with _alone():
        mend(Path.cwd())
        if branches:
            raise_any([fault for run in runs if (fault := _branch_fault(run))])
        missing = [run for run in runs if not run.is_done()]
        for run in runs:
            if run not in missing:
                _end(run, "built before", progress, branches)
        with closing(_builds(missing, progress, min(jobs, len(missing)))) as builds:
            for build in builds:
                trained += build.trained()
                if problem := build.keep():
                    failed.append(build.run)
                    progress.end(build.run.name, problem)
                else:
                    _end(build.run, f"done, {counted(build.trained(), 'step')} trained", progress, branches)
    built = [run for run in runs if run not in failed]
    steps = [step for run in built for step in run.steps()]
    summary = f"{counted(len(steps), 'step')}, {len(set(steps))} of them distinct; {trained} trained now"
    print(f"{counted(len(built), 'experiment')}: {summary}")
    return failed


def _builds(runs: list[Run], progress: Progress, jobs: int) -> Generator[Build, None, None]:
    """The build of each run, in the order in which they end. `jobs` run at a time; they are killed when this is closed."""
    waiting, going = list(runs), list[Build]()
    shutil.rmtree(COPIES, ignore_errors=True)
    try:
        while waiting or going:
            while waiting and len(going) < jobs:
                progress.begin(waiting[0].name)
                going.append(Build(waiting.pop(0), progress.live))
            wait([build.process.sentinel for build in going], timeout=0.5)
            progress.at({build.run.name: build.status() for build in going})
            for build in [build for build in going if not build.process.is_alive()]:
                going.remove(build)
                yield build
                shutil.rmtree(build.folder, ignore_errors=True)
    finally:
        # This loses the stages that are running, and of a training step only what its last checkpoint does not have.
        for build in going:
            build.process.kill()
        for build in going:
            build.process.join()
        shutil.rmtree(COPIES, ignore_errors=True)


def _end(run: Run, how: str, progress: Progress, branches: bool) -> None:
    """Report a run whose experiment exists, and make its branch if branches are asked for."""
    if branches:
        git("branch", "--no-track", run.branch, run.reference)
    progress.end(run.name, how)


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
