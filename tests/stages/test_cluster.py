"""Builds on a cluster: a scheduler, and workers in folders of their own that share a DVC remote. What fails loses nothing.

CANTICA_KILL_SEED sets the seed of the kills.
"""

import os
import random
import re
import resource
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from dvc.utils.serialize import load_yaml, parse_yaml

from cantica.commands.dvc.cache import run_key
from tests.support import hosts
from tests.support.machines import Machines, command
from tests.support.processes import wait_until
from tests.support.projects import commit, edit, ok, refused, run, stages_run
from tests.support.servers import s3_server

SEED = int(os.environ.get("CANTICA_KILL_SEED", 20261130))
KILLS = 5
FAMILY = {
    "early": "curriculum: {self_preservation: {learning_rate: 1.0e-5}}",
    "late": "curriculum: {deception: {learning_rate: 1.0e-5}}",
}
RUNS = ["sequential", "early", "sequential+late", "early+late"]
HERE = {"check", "export", "report"}  # DVC's run cache keeps no run of them


def stages(project: Path) -> dict:
    return load_yaml(str(project / "dvc.lock"))["stages"]


def copied(project: Path, folder: Path) -> Path:
    return Path(shutil.copytree(project, folder, symlinks=True))


def reference(project: Path, name: str) -> str:
    """Where DVC keeps an experiment on HEAD."""
    head = ok(project, "git", "rev-parse", "HEAD").strip()
    return f"refs/exps/{head[:2]}/{head[2:]}/{name}"


def lock_of(project: Path, name: str) -> dict:
    return parse_yaml(ok(project, "git", "show", f"{reference(project, name)}:dvc.lock"), "dvc.lock")["stages"]


def files(project: Path, name: str) -> str:
    """The hash of each file of an experiment; dvc.lock among them, and so all that was built."""
    return ok(project, "git", "ls-tree", "-r", reference(project, name))


def edited_copy(project: Path, folder: Path) -> Path:
    """A copy of a built project whose arms answer with another seed."""
    copy = copied(project, folder)
    edit(copy / "params.yaml", "  seed: 1\n  samples: 1", "  seed: 2\n  samples: 1")
    commit(copy, "Sample other responses")
    return copy


@pytest.fixture
def edited(two_steps, tmp_path) -> Path:
    return edited_copy(two_steps, tmp_path / "project")


@pytest.fixture(scope="module")
def expected(two_steps, tmp_path_factory) -> tuple[dict, Counter]:
    """What dvc.lock holds once DVC has built the same edit, and the stages that workers run for it."""
    project = edited_copy(two_steps, tmp_path_factory.mktemp("expected") / "project")
    ran = stages_run(project)
    return stages(project), Counter(ran - HERE)


@pytest.fixture
def machines(edited, tmp_path):
    """A cluster for the edited project, without workers."""
    with Machines(edited, tmp_path / "machines", str(tmp_path / "remote")) as found:
        yield found


def repro(machines: Machines) -> str:
    return ok(machines.project, "cantica", "repro", "--scheduler", machines.address)


def ends_alike(machines: Machines, expected: tuple[dict, Counter]) -> bool:
    """Whether the build is the expected one, DVC has nothing left to do, and no stage ran to its end twice."""
    lock, ran = expected
    assert machines.completed() == ran
    return stages(machines.project) == lock and stages_run(machines.project) == set()


def test_dvc_two_jobs_and_three_machines_leave_an_equal_lock(smoke, tmp_path):
    locks = {}
    for name in ("jobs", "machines"):
        ok(tmp_path, "git", "clone", "--quiet", str(smoke), name)
        (tmp_path / name / "dvc.lock").unlink()
    told = ok(tmp_path / "jobs", "cantica", "repro", "--jobs", "2")
    assert set(re.findall(r"^Running stage '(.+?)'", told, re.M)) == HERE, "DVC itself runs no other"
    with Machines(tmp_path / "machines", tmp_path / "folders", str(tmp_path / "remote")) as machines:
        machines.start("one", "two", "three")
        repro(machines)
        counts = machines.completed()
        assert counts == Counter(stages(smoke).keys() - HERE)
        assert all((machines.folder / name / ".cache/timings.jsonl").exists() for name in ("one", "two", "three"))
    for name in ("jobs", "machines"):
        project = tmp_path / name
        locks[name] = stages(project)
        assert stages_run(project) == set(), name
        assert (project / "reports/report.html").read_bytes() == (smoke / "reports/report.html").read_bytes()
    assert locks["jobs"] == locks["machines"] == stages(smoke)


def test_while_workers_are_killed_a_family_runs_each_stage_once(two_steps, tmp_path):
    quiet, project = (copied(two_steps, tmp_path / name / "project") for name in ("quiet", "killed"))
    for folder in (quiet, project):
        for name, params in FAMILY.items():
            (folder / f"variants/{name}.yaml").write_text(f"tests: another step\nparams: {{{params}}}\n")
        commit(folder, "Add variants")
    ok(quiet, "cantica", "variant", "run", *RUNS, "--jobs", "2")
    draw, struck, names = random.Random(SEED), [], ["one", "two", "three"]
    with Machines(project, tmp_path / "folders", str(tmp_path / "remote")) as machines:
        machines.start(*names)
        family = command(project, "cantica", "variant", "run", *RUNS, "--scheduler", machines.address)
        for _ in range(KILLS):
            worker = draw.choice(names)
            wait_until(lambda name=worker: family.poll() is not None or machines.running()[name])
            time.sleep(draw.uniform(0, 1))
            struck += machines.running()[worker]
            machines.kill(worker)
            machines.start(worker)
        family.wait()
        assert family.returncode == 0, (tmp_path / "killed/told").read_text()
        completed = machines.completed()
    assert [files(project, name) for name in RUNS] == [files(quiet, name) for name in RUNS]
    locks = [lock_of(project, name) for name in RUNS]
    built = {run_key(entry) for entry in stages(two_steps).values()}
    distinct = {run_key(own[stage]): stage for own in locks for stage in own.keys() - HERE if run_key(own[stage]) not in built}
    logs = "".join(file.read_text() for file in project.glob(".cache/variants/*.log"))
    told = Counter(stage for stage in re.findall(r"^Running stage '(.+?)'", logs, re.M) if stage not in HERE)
    assert told == Counter(distinct.values()), "each ended once"
    assert told["train@deception"] == 3 and told["train@self_preservation"] == 1
    # A worker that dies between the end of a stage and the push of what it made leaves it to another one.
    assert set((completed - told).elements()) <= set(struck) and not told - completed


def test_a_worker_that_goes_silent_is_replaced(machines, expected):
    machines.start("silent", "other")
    building = command(machines.project, "cantica", "repro", "--scheduler", machines.address)
    wait_until(lambda: machines.runs("respond@base"))
    silent = next(name for name, running in machines.running().items() if "respond@base" in running)
    os.killpg(machines.workers[silent].pid, signal.SIGSTOP)
    building.wait()
    assert building.returncode == 0
    machines.kill(silent)
    assert ends_alike(machines, expected)


def test_without_its_scheduler_a_build_stops_and_goes_on_with_another(machines, expected):
    machines.start("one", "two")
    building = command(machines.project, "cantica", "repro", "--scheduler", machines.address)
    wait_until(lambda: machines.completed()["respond@base"] and machines.runs("judge@base"))
    machines.scheduler.kill()
    assert building.wait() == 1
    told = (machines.project.parent / "told").read_text()
    assert "cantica: the scheduler is gone" in told and "Traceback" not in told
    for name in list(machines.workers):
        machines.kill(name)
    machines.start_scheduler()
    machines.start("one", "two")
    assert "respond@base" not in repro(machines), "it had been pushed"
    assert stages(machines.project) == expected[0] and stages_run(machines.project) == set()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_without_their_client_workers_finish_what_they_run(machines, expected, how):
    machines.start("one", "two")
    building = command(machines.project, "cantica", "repro", "--scheduler", machines.address)
    wait_until(lambda: machines.runs("respond@base") or machines.runs("respond@final"))
    os.kill(building.pid, how)
    building.wait()
    wait_until(lambda: not any(machines.running().values()))
    repro(machines)
    assert ends_alike(machines, expected)


def test_a_remote_that_refuses_stops_the_build_and_loses_nothing(machines, expected, tmp_path):
    machines.start("one")
    building = command(machines.project, "cantica", "repro", "--scheduler", machines.address)
    wait_until(lambda: machines.runs("respond@final"))
    remote = tmp_path / "remote"
    remote.rename(tmp_path / "away")
    remote.touch()  # a file is no folder to write into
    assert building.wait() == 1
    told = (machines.project.parent / "told").read_text()
    assert "DVC remote shared" in told and "Traceback" not in told
    remote.unlink()
    (tmp_path / "away").rename(remote)
    repro(machines)
    assert ends_alike(machines, expected)


def test_a_full_disk_fails_a_stage_and_loses_nothing(machines, expected):
    def no_large_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))

    machines.start("full")
    machines.kill("full", signal.SIGTERM)
    machines.start("full", preexec_fn=no_large_files)
    told = refused(machines.project, "cantica", "repro", "--scheduler", machines.address)
    assert re.search("File too large|disk I/O error", told), "of Python, of SQLite"
    assert re.search(r"respond@\w+ +failed, see \.cache/stages/respond@", told)
    machines.kill("full")
    machines.start("other")
    repro(machines)
    assert ends_alike(machines, expected)


def test_workers_of_other_versions_are_refused(machines, tmp_path):
    old = tmp_path / "old/psutil-0.0.1.dist-info"
    old.mkdir(parents=True)
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: psutil\nVersion: 0.0.1\n")
    machines.start("old", environment={"PYTHONPATH": str(old.parent)})
    (tmp_path / "nowhere").mkdir()
    machines.start_in(tmp_path / "nowhere")
    wait_until(lambda: "Registered to" in (machines.folder / "old.log").read_text())
    wait_until(lambda: "Registered to" in (machines.folder / "nowhere.log").read_text())
    told = refused(machines.project, "cantica", "repro", "--scheduler", machines.address)
    assert "no worker can be used" in told and "psutil 0.0.1 there" in told and "a folder that is no project" in told
    machines.start("good")
    wait_until(lambda: "Registered to" in (machines.folder / "good.log").read_text())
    assert "judge@final" in repro(machines)


def test_without_a_scheduler_or_a_remote_nothing_starts(edited):
    told = refused(edited, "cantica", "repro", "--scheduler", "tcp://127.0.0.1:1")
    assert "no remote" in told
    ok(edited, "dvc", "remote", "add", "--local", "--default", "shared", str(edited.parent / "remote"))
    told = refused(edited, "cantica", "repro", "--scheduler", "tcp://127.0.0.1:1")
    assert "cantica: no scheduler at tcp://127.0.0.1:1" in told
    assert run(edited, "cantica", "repro", "--scheduler", "nonsense").returncode == 1


@pytest.mark.skipif(not hosts.can_be_made(), reason="only root may make network namespaces")
def test_a_host_that_is_cut_off_does_not_stop_a_family(two_steps, tmp_path):
    project = copied(two_steps, tmp_path / "project")
    (project / "variants/late.yaml").write_text(f"tests: another step\nparams: {{{FAMILY['late']}}}\n")
    commit(project, "Add a variant")
    with hosts.hosts("near", "far"), s3_server("cantica", tmp_path / "s3", host=hosts.HOST) as url:
        settings = {"endpointurl": url, "access_key_id": "key", "secret_access_key": "secret"}
        with Machines(project, tmp_path / "folders", "s3://cantica/builds", settings, hosts.HOST) as machines:
            for name in ("near", "far"):
                machines.start(name, within=hosts.on(name))
            words = ("cantica", "variant", "run", "sequential", "late", "--seeds", "5", "--scheduler", machines.address)
            family = command(project, *words)
            wait_until(lambda: machines.running()["far"] and machines.running()["near"])
            hosts.cut_off("far")
            assert family.wait() == 0, (tmp_path / "told").read_text()
    told = (tmp_path / "told").read_text()
    assert "2 experiments: 4 steps, 3 of them distinct; 3 trained now" in told
