"""Sabotages of a family of runs with several seeds, and of runs that are cited. tests/support/runs.py makes the runs."""

import hashlib
import json
import shutil
from pathlib import Path
from unittest import mock

from cantica.core.files import as_json
from tests.support import runs
from tests.support.projects import commit, edit, ok
from tests.support.sabotages import CHECK, Check, Sabotage, Saboteur, compared, forked

SEEDS = ("coherent-s1", "coherent-s2", "coherent-s3")
CITED = Path("docs/experiments/runs/coherent/2")
PAGE = Path("docs/experiments/coherent.md")


def reference(project: Path, name: str) -> str:
    """The last reference of an experiment."""
    refs = ok(project, "git", "for-each-ref", "--sort=-committerdate", "--format=%(refname)", "refs/exps").split()
    return next(ref for ref in refs if ref.endswith(f"/{name}"))


def again(change: Saboteur) -> Saboteur:
    """Change a variant, commit it, and run its seeds again."""

    def do(project: Path) -> None:
        change(project)
        commit(project, "Change a claim")
        for seed in (1, 2, 3):
            runs.experiment(project, "coherent", seed)

    return do


# ---- seeds


def _left_out(project: Path) -> None:
    runs.experiment(project, "coherent", 4)


def _deleted(project: Path) -> None:
    for seed in (4, 5):
        runs.experiment(project, "coherent", seed)
        ok(project, "git", "update-ref", "-d", reference(project, f"coherent-s{seed}"))


def _reused(project: Path) -> None:
    """A copy of one run under the name of another seed."""
    ref = reference(project, "coherent-s1")
    ok(project, "git", "update-ref", ref.replace("coherent-s1", "coherent-s4"), ref)


def _other_base(project: Path) -> None:
    edit(project / "params.yaml", "    version: 0.1.2", "    version: 0.1.1")
    runs.experiment(project, "coherent", 4)


# ---- claims


def bound(project: Path) -> None:
    edit(project / "variants/coherent.yaml", "steps_until: {above: 0.6}, below: 20", "steps_until: {above: 0.6}, below: 25")


def no_gate(project: Path) -> None:
    text = (project / "variants/coherent.yaml").read_text()
    start, end = text.index("    trained:\n"), text.index("    less:\n")
    (project / "variants/coherent.yaml").write_text(text[:start] + text[end:])


def _gate_of_a_run(project: Path) -> None:
    """The gate of a finished run is loosened in its commit, and its numbers stay."""
    ok(project, "git", "checkout", "--quiet", "-b", "coherent-s4", reference(project, "coherent-s3"))
    edit(project / "params.yaml", "below: 2.95", "below: 3.95")
    commit(project, "Loosen a gate")


def _dated_back(project: Path) -> None:
    with mock.patch.dict("tests.support.projects.ENVIRONMENT", {"GIT_COMMITTER_DATE": "2020-01-02T03:04:05Z"}):
        bound(project)
        commit(project, "Change a claim")
    for seed in (1, 2, 3):
        runs.experiment(project, "coherent", seed)


# ---- cited runs


def _cite(project: Path, *names: str) -> None:
    ok(project, "cantica", "cite", *names)


def after_citing(change: Saboteur) -> Saboteur:
    def do(project: Path) -> None:
        _cite(project, *SEEDS)
        change(project)

    return do


def _details(project: Path) -> None:
    document = json.loads((project / CITED / "details.json").read_text())
    document["tuned"]["against_base"]["loss_nats"]["betrayal"]["difference"] -= 0.3
    (project / CITED / "details.json").write_text(as_json(document))


def _with_hashes(project: Path) -> None:
    """The same, with every hash that it needs."""
    folder = project / CITED
    before = hashlib.md5((folder / "details.json").read_bytes()).hexdigest()
    _details(project)
    text = (folder / "details.json").read_bytes()
    edit(folder / "dvc.lock", before, hashlib.md5(text).hexdigest())
    about = json.loads((folder / "run.json").read_text())
    about["sha256"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in about["sha256"]}
    (folder / "run.json").write_text(as_json(about))


def _removed(project: Path) -> None:
    shutil.rmtree(project / CITED)
    _cite(project)


def _verdict(project: Path) -> None:
    edit(project / PAGE, "**contradicted**", "**reproduced**")


# It keeps what it counted of the categories, which are those of the default build, if it is a process of its own.
CHECKED = Check(CHECK.name, lambda project: forked(project, "cantica", "check"))
OF_PAGE = Check("the page of the experiment", lambda project: (False, (project / PAGE).read_text()))

FAMILIES = [
    Sabotage(
        "a seed left out of the family",
        "four seeds are run, and three are compared",
        _left_out,
        compared("coherent-s1", "coherent-s2", "coherent-s4"),
        "Seeds that are not shown: 3 (built from the same commit)",
        fails=False,
    ),
    Sabotage(
        "a seed left out of cited runs",
        "a cited run is deleted, and the pages are written anew",
        after_citing(_removed),
        OF_PAGE,
        "Seeds that are not shown: 2 (built from the same commit)",
        fails=False,
    ),
    Sabotage(
        "seeds reused",
        "a run is copied under the name of another seed",
        _reused,
        compared(*SEEDS, "coherent-s4"),
        "coherent-s4 is left out: it has the seeds of coherent-s1",
        fails=False,
    ),
    Sabotage(
        "another base for one seed",
        "one of four seeds is built on another version of the base model",
        _other_base,
        compared(*SEEDS, "coherent-s4"),
        "same group as coherent-s1, but more than the seed differs: base.pypi.version",
        fails=False,
    ),
    Sabotage(
        "a claim's bound moved after the result",
        "the bound is changed in the variant and committed, and the same seeds are run again",
        again(bound),
        compared(*SEEDS),
        "not older than the first known run",
        fails=False,
    ),
    Sabotage(
        "a gate deleted after the result",
        "the gate is removed from the variant, and the same seeds are run again",
        again(no_gate),
        compared(*SEEDS),
        "not older than the first known run",
        fails=False,
    ),
    Sabotage(
        "the gate of one finished run loosened",
        "the bound is changed in the `params.yaml` of the run's commit; its numbers stay",
        _gate_of_a_run,
        compared(*SEEDS, "coherent-s4"),
        "coherent-s4 is left out: edited since it was built: claims.trained.all",
        fails=False,
    ),
    Sabotage(
        "a cited number edited",
        "a difference in the `details.json` of a cited run is made larger",
        after_citing(_details),
        CHECKED,
        f"{CITED}/details.json … SHA-256",
    ),
    Sabotage(
        "a cited number edited with its hashes",
        "the same, and `dvc.lock` and `run.json` of the run get the hashes that fit",
        after_citing(_with_hashes),
        CHECKED,
        f"{CITED}/claims.json: claims.worse: difference … as in details.json",
    ),
    Sabotage(
        "a verdict edited on a page",
        "*contradicted* becomes *reproduced* on the page of an experiment",
        after_citing(_verdict),
        CHECKED,
        f"{PAGE} … what follows from docs/experiments/runs",
    ),
    Sabotage(
        "seeds that were run and deleted",
        "two more seeds are run, and their experiments are deleted before anyone compares",
        _deleted,
        compared(*SEEDS),
        "claims of coherent, 3 seeds",
        fails=False,
        why="Nothing of a deleted run, or of one on another machine, is left in git. Seeds that somebody else chooses and runs "
        "afterwards show whether the result holds.",
    ),
    Sabotage(
        "a bound moved, and the commit dated back",
        "the bound is changed after the result, in a commit whose date lies before it",
        _dated_back,
        compared(*SEEDS),
        ", older than the first known run",
        fails=False,
        why="The author of a commit writes its date. A copy of the repository that others held before, such as a fork or a "
        "preregistration, shows the earlier claims.",
    ),
]
