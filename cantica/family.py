"""Build a family of variants: each variant and seed as a DVC experiment on HEAD, in a working copy of its own.

What two of them have in common is built once: they share DVC's run cache. The project's own files stay as they are.
"""

import fcntl
import json
import re
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cantica.build import failed_stage, read, run_dvc, stages_run
from cantica.copies import SCRATCH, make_copy
from cantica.git import git, head, must
from cantica.headline import headline
from cantica.mend import mend
from cantica.overlays import differences
from cantica.progress import counted
from cantica.variants import from_text, load_variant, overlaid, to_text
from stages.lib.common.documents import raise_any
from stages.lib.common.errors import InputError, Problem
from stages.lib.params import FILE

LOGS = Path(".cache/variants")


@dataclass(frozen=True)
class Run:
    """One variant with one seed, or with those of params.yaml, on one commit."""

    variant: str
    seed: int | None
    head: str
    params: str

    @property
    def name(self) -> str:
        """The experiment's name. `+` may stand in the name of a git reference, so that no two variants share one."""
        return self.variant if self.seed is None else f"{self.variant}-s{self.seed}"

    @property
    def reference(self) -> str:
        """Where DVC keeps the experiment."""
        return f"refs/exps/{self.head[:2]}/{self.head[2:]}/{self.name}"

    @property
    def branch(self) -> str:
        return f"variant/{self.name}"

    @property
    def log(self) -> Path:
        return LOGS / f"{self.name}.log"

    def is_done(self) -> bool:
        """Whether the experiment is there, and was made from just these params."""
        made_from = git("show", f"{self.reference}:{FILE}")
        return made_from is not None and from_text(made_from) == from_text(self.params)


def family(variants: list[str], seeds: list[int] | None) -> list[Run]:
    """Every variant with the first seed, then with the next; without seeds, as params.yaml has them. Raises InputError."""
    revision, text = head()
    every = dict.fromkeys((variant, seed) for seed in seeds or [None] for variant in variants)
    return [Run(variant, seed, revision, to_text(overlaid(variant, text, seed))) for variant, seed in every]


def uncommitted() -> list[str]:
    """Inputs that git tracks and that differ from HEAD; what a build writes is not among them."""
    changed = must("status", "--porcelain", "--no-renames", "--untracked-files=no").splitlines()
    return [file for line in changed if not re.match(r"dvc\.lock|reports/|.*\.gitignore", file := line[3:])]


def run_family(runs: list[Run], progress, branches: bool = False) -> list[Run]:
    """Build what is not built yet, say how many steps that were, and return the runs that failed.

    progress: a Progress. branches: make a branch of each run too. Raises InputError where another family is being built in the
    project, or a branch is another commit.
    """
    trained, failed = 0, []
    with _alone():
        mend(Path.cwd())
        if branches:
            raise_any([problem for run in runs if (problem := _branch_fault(run))])
        for run in runs:
            if run.is_done():
                outcome = "is there already"
            else:
                problem = build(run, lambda stage, name=run.name: progress.at(name, stage))
                told = read(run.log)
                mine = sum(s.startswith("train@") and s != failed_stage(told) for s in stages_run(told))
                trained += mine
                failed += [run] if problem else []
                outcome = problem or f"done, {counted(mine, 'step')} trained"
            if branches and run not in failed:
                git("branch", "--no-track", run.branch, run.reference)
            progress.ended(run.name, outcome)
    built = [run for run in runs if run not in failed]
    steps = [step for run in built for step in steps_of(run)]
    told = f"{counted(len(steps), 'step')}, {len(set(steps))} of them distinct; {trained} trained now"
    print(f"{counted(len(built), 'experiment')}: {told}")
    return failed


def build(run: Run, watch) -> str:
    """Build one run and keep it as an experiment of the project; return what went wrong, or nothing.

    watch: called with the name of the stage that runs.
    """
    shutil.rmtree(SCRATCH / "variants", ignore_errors=True)
    run.log.parent.mkdir(parents=True, exist_ok=True)
    run.log.write_bytes(b"")
    (SCRATCH / "variants").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=(SCRATCH / "variants").resolve()))
    log = run.log.resolve()
    try:
        make_copy(folder, run.head, run.params)
        if not run_dvc(folder, log, "repro", watch=lambda told: watch((stages_run(told) or [""])[-1])):
            return f"failed in {failed_stage(read(run.log)) or 'DVC'}, see {run.log}"
        # This is what `dvc exp save` does, which would put a file of its own into the commit, .dvc/tmp/repro.dat.
        must("add", "--all", folder=folder)
        must("commit", "--quiet", "--no-verify", "--no-gpg-sign", "--allow-empty", "-m", message(run, folder), folder=folder)
        _fetch(folder, run.reference)
    finally:
        shutil.rmtree(SCRATCH / "variants", ignore_errors=True)
    return ""


def _fetch(folder: Path, reference: str) -> None:
    """Take a copy's HEAD over into the project, as a reference that nothing but a family writes."""
    # One that was killed here has left git's lock of it.
    Path(must("rev-parse", "--git-common-dir").strip(), f"{reference}.lock").unlink(missing_ok=True)
    quietly = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance")
    must("fetch", *quietly, str(folder), f"+HEAD:{reference}")


def steps_of(run: Run) -> list[str]:
    """What each step of a built run was made from, as text; equal texts are one step, which is trained once."""
    lock = from_text(git("show", f"{run.reference}:dvc.lock"))["stages"]
    entries = [lock[f"train@{step}"] for step in from_text(run.params)["curriculum"]]
    return [json.dumps([e["cmd"], e["deps"], e["params"]], sort_keys=True) for e in entries]


def message(run: Run, folder: Path) -> str:
    """The experiment's commit message: what is tested, what params changed, and the headline numbers."""
    changes = differences(from_text(git("show", f"{run.head}:{FILE}")), from_text(run.params)) or ["nothing"]
    numbers = headline(json.loads((folder / "reports/metrics.json").read_text(encoding="utf-8")))
    tests = [load_variant(part)["tests"] for part in run.variant.split("+")]
    return "\n".join([f"Build {run.name}", "", *tests, "", f"Changed in {FILE}:", *changes, "", *numbers])


def _branch_fault(run: Run) -> Problem | None:
    """A Problem where the run's branch is there and is not what would be built."""
    there = git("rev-parse", "--verify", "--quiet", f"refs/heads/{run.branch}")
    if there is None or (run.is_done() and there == git("rev-parse", run.reference)):
        return None
    hint = f"`git branch -m {run.branch} NAME` renames it"
    return Problem(run.branch, "", f"a branch that is another commit, {there[:9]}", "no such branch", hint)


@contextmanager
def _alone():
    """Hold the project's families apart; the lock goes with the process. Raises InputError."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with (SCRATCH / "variants.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            got = "another `cantica variant run` in this project"
            raise InputError(Problem(str(SCRATCH / "variants.lock"), "", got, "one at a time: wait for its end")) from None
        yield
