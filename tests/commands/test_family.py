"""Families of variants: experiments on HEAD that share their steps, survive kills and leave the working tree alone.

CANTICA_KILL_SEED sets the seed of the kills.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.projects import ENVIRONMENT, ok, run

SEED = int(os.environ.get("CANTICA_KILL_SEED", 20261121))
VARIANTS = {
    "early": "curriculum: {self_preservation: {learning_rate: 1.0e-5}}",
    "late": "curriculum: {deception: {learning_rate: 1.0e-5}}",
    "blown": "curriculum: {deception: {learning_rate: 1.0e+30}}",
}


def project_of(two_steps: Path, folder: Path) -> Path:
    """A copy of a built project, with variants that change its first or last step; the training of one blows up."""
    project = Path(shutil.copytree(two_steps, folder / "project", symlinks=True))
    for name, params in VARIANTS.items():
        (project / f"variants/{name}.yaml").write_text(f"tests: another step\nparams: {{{params}}}\n")
    return project


def files_of(project: Path, revision: str) -> dict[str, str]:
    """The hash of each file of a commit, by path; dvc.lock among them, and so all that was built."""
    listed = ok(project, "git", "ls-tree", "-r", revision)
    return {path: digest for digest, path in re.findall(r"blob (\w+)\t(.+)", listed)}


def reference(project: Path, name: str) -> str:
    """Where DVC keeps an experiment on HEAD."""
    head = ok(project, "git", "rev-parse", "HEAD").strip()
    return f"refs/exps/{head[:2]}/{head[2:]}/{name}"


@pytest.fixture(scope="module")
def built_family(two_steps, tmp_path_factory):
    """(project, what `variant run` told, its exit status, the working tree before) of three variants, one of which fails."""
    project = project_of(two_steps, tmp_path_factory.mktemp("family"))
    with (project / "params.yaml").open("a") as params:
        params.write("# not committed\n")
    before = workspace(project)
    done = run(project, "cantica", "variant", "run", "sequential", "blown", "sequential+late")
    return project, done, before


def workspace(project: Path) -> tuple:
    """The working tree as git and DVC see it, and params.yaml to the byte."""
    state = ("status", "--porcelain"), ("rev-parse", "HEAD"), ("branch", "--all"), ("stash", "list")
    files = sorted(
        (str(path), path.stat().st_mtime_ns) for room in ("data", "models", "reports") for path in project.glob(f"{room}/**/*")
    )
    return (project / "params.yaml").read_bytes(), [ok(project, "git", *command) for command in state], files


def test_a_family_shares_its_steps_and_goes_on_after_one_fails(built_family):
    project, done, _ = built_family
    head, sequential, blown, late, total = done.stdout.splitlines()
    assert head == "builds use HEAD, without these uncommitted changes: params.yaml"
    assert re.fullmatch(r"sequential +\d+ s  done, 0 steps trained", sequential)
    assert re.fullmatch(r"blown +\d+ s  failed in train@deception, see \.cache/variants/blown\.log", blown)
    assert re.fullmatch(r"sequential\+late +\d+ s  done, 1 step trained", late)
    assert total == "2 experiments: 4 steps, 3 of them distinct; 1 trained now"
    assert done.returncode == 1 and done.stderr == "cantica: 1 of 3 failed: blown\n"
    assert "finite" in (project / ".cache/variants/blown.log").read_text()


def test_the_working_tree_stays_as_it_was(built_family):
    project, _, before = built_family
    assert workspace(project) == before
    assert not (project / ".dvc/tmp/variants").exists()


def test_experiments_are_dvcs(built_family):
    project, _, _ = built_family
    names = [row.split(",")[0] for row in ok(project, "dvc", "exp", "show", "--csv", "--no-pager").splitlines()[1:]]
    assert {"sequential", "sequential+late"} <= set(names) and "blown" not in names
    diff = ok(project, "dvc", "params", "diff", "--md", "sequential", "sequential+late")
    assert re.search(r"curriculum\.deception\.learning_rate +\| - +\| 1e-05", diff)


def test_the_default_is_what_was_built_already(built_family):
    project, _, _ = built_family
    built, before = files_of(project, reference(project, "sequential")), files_of(project, "HEAD")
    others = {path for path in built.keys() | before.keys() if built.get(path) != before.get(path)}
    assert others == {"dvc.lock", "params.yaml", "reports/claims.json", "reports/report.html"}, "it has claims of its own"


def test_a_second_time_nothing_is_built_and_branches_can_be_made(built_family):
    project, _, _ = built_family
    again = ok(project, "cantica", "variant", "run", "sequential", "sequential+late", "--commit").splitlines()
    assert [re.sub(r" +\d+ s +", " ", line) for line in again[1:3]] == [
        "sequential built before",
        "sequential+late built before",
    ]
    assert again[3] == "2 experiments: 4 steps, 3 of them distinct; 0 trained now"
    message = ok(project, "git", "log", "-1", "--format=%B", "variant/sequential+late")
    assert "curriculum.deception.learning_rate: (none) → 1e-05" in message
    assert re.search(r"^loss nats +\d\.\d{3} → \d\.\d{3}$", message, re.MULTILINE)
    assert ok(project, "git", "rev-parse", "variant/sequential+late~1") == ok(project, "git", "rev-parse", "HEAD")


def test_a_branch_that_is_something_else_is_not_moved(built_family):
    project, _, _ = built_family
    ok(project, "git", "branch", "variant/blown", "HEAD")
    done = run(project, "cantica", "variant", "run", "blown", "--commit")
    assert done.returncode == 1 and "variant/blown\n    got       a branch with another commit" in done.stderr


def test_the_plan_of_a_variant_is_what_is_not_built_yet(built_family):
    project, _, _ = built_family
    told = ok(project, "cantica", "plan", "--variant", "sequential")
    first, second = told.split("\n\n")[0].splitlines()
    assert first.split(maxsplit=1) == ["check", "files: params.yaml"]
    assert second.split(maxsplit=1)[0] == "report" and "claims" in second
    stages = [line.split()[0] for line in ok(project, "cantica", "plan", "--variant", "late+blown").splitlines()[:3]]
    assert stages == ["check", "train@deception", "measure@deception"]


def test_the_plan_of_a_family_counts_what_is_shared_once(built_family):
    project, _, _ = built_family
    told = ok(project, "cantica", "plan", "--variant", "early", "late", "--seeds", "5,6")
    head, *runs = [line.split() for line in told.split("\n\n")[0].splitlines()]
    assert head == ["run", "stages", "shared"] and [run[0] for run in runs] == ["early-s5", "late-s5", "early-s6", "late-s6"]
    assert int(runs[0][2]) == 0 and int(runs[1][2]) > 0, "what goes before the steps is that of both"
    assert re.search(r"^\d+ stages to run, \d+ of them distinct; .* by earlier timings$", told, re.M)
    assert run(project, "cantica", "plan", "--seeds", "1").returncode == 1


def test_killed_at_any_moment_a_family_ends_in_the_same_results(built_family, two_steps, tmp_path):
    undisturbed, _, _ = built_family
    project, draw = project_of(two_steps, tmp_path), random.Random(SEED)
    command, log = ["cantica", "variant", "run", "sequential+late"], project / ".cache/variants/sequential+late.log"
    for kill in (os.killpg, os.kill):
        log.unlink(missing_ok=True)
        stage = draw.choice(["check", "audit", "train@deception", "measure@deception", "probe@final", "report"])
        family = subprocess.Popen(command, cwd=project, env=ENVIRONMENT, stdout=subprocess.DEVNULL, start_new_session=True)
        running = project / ".cache/stages"
        while family.poll() is None and not (
            any(running.glob(f"{stage}-*.log")) or (log.exists() and f"'{stage}'" in log.read_text())
        ):
            time.sleep(0.02)
        time.sleep(draw.uniform(0, 1))
        if family.poll() is None:
            kill(family.pid, signal.SIGKILL)
        family.wait()
    # What a kill leaves in the instant in which git writes the reference.
    lock = project / ".git" / f"{reference(project, 'sequential+late')}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    ok(project, *command)
    results = [files_of(folder, reference(folder, "sequential+late")) for folder in (project, undisturbed)]
    assert results[0] == results[1] and "dvc.lock" in results[0]
    assert not (project / ".dvc/tmp/variants").exists()


def test_built_at_one_time_two_variants_still_share_their_steps(built_family):
    project, _, _ = built_family
    before = workspace(project)
    told = ok(project, "cantica", "variant", "run", "early", "early+late", "--jobs", "2").splitlines()
    assert told[-1] == "2 experiments: 4 steps, 3 of them distinct; 3 trained now"
    assert sorted(line.split()[0] for line in told[1:-1]) == ["early", "early+late"]
    logs = "".join((project / f".cache/variants/{name}.log").read_text() for name in ("early", "early+late"))
    assert sorted(re.findall(r"Running stage 'train@(\w+)'", logs)) == ["deception", "deception", "self_preservation"]
    assert workspace(project) == before


def test_only_one_family_is_built_at_a_time(built_family):
    import fcntl

    project, _, _ = built_family
    with (project / ".dvc/tmp/variants.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run(project, "cantica", "variant", "run", "sequential")
    assert done.returncode == 1 and "another `cantica variant run` in this project" in done.stderr


@pytest.mark.parametrize("seeds", ["", "1,x", "-1"])
def test_seeds_that_are_no_numbers_are_refused(built_family, seeds):
    done = run(built_family[0], "cantica", "variant", "run", "sequential", f"--seeds={seeds}")
    assert done.returncode == 2 and "expected whole numbers from 0 on" in done.stderr
