"""`cantica repro` leaves what `dvc repro` leaves, though it runs stages at the same time."""

import re
import shutil
from pathlib import Path

import pytest

from cantica.commands.builds.places import share
from cantica.commands.dvc.graph import lengths, longest_chain, makers_of, makespan
from tests.support.projects import edit, ok, refused, run, stages_run


@pytest.fixture(scope="module")
def edited(two_steps, tmp_path_factory) -> tuple[Path, Path]:
    """The same edit of a rule in two copies of a project."""
    folders = [Path(shutil.copytree(two_steps, tmp_path_factory.mktemp("repro") / name, symlinks=True)) for name in "ab"]
    for project in folders:
        edit(project / "prompts/judge/rules.yaml", "markers: 2", "markers: 3")
    return folders[0], folders[1]


def stages(project: Path) -> dict:
    from dvc.utils.serialize import load_yaml

    return load_yaml(str(project / "dvc.lock"))["stages"]


def test_it_leaves_what_dvc_leaves(edited):
    ours, dvcs = edited
    ran = stages_run(dvcs)
    told = ok(ours, "cantica", "repro", "--jobs", "2")
    assert stages(ours) == stages(dvcs)
    by_dask, by_dvc = set(re.findall(r"^(\S+)  \d+ s$", told, re.M)), set(re.findall(r"^Running stage '(.+?)'", told, re.M))
    assert by_dvc == {"check", "report"} and by_dask == {"judge@base", "judge@final"} == ran - by_dvc
    listed = [line.split()[0] for line in ok(ours, "dvc", "stage", "list", "--name-only").splitlines()]
    assert list(stages(ours)) == [name for name in listed if name in stages(ours)]
    for name in ("reports/metrics.json", "reports/report.html", "data/judgements/final.jsonl"):
        assert (ours / name).read_bytes() == (dvcs / name).read_bytes()
    assert stages_run(ours) == set()
    assert not list(ours.glob(".dvc/tmp/worker-*"))
    assert ok(ours, "cantica", "repro") == ""


def test_a_stage_that_fails_stops_what_follows_and_keeps_what_was_built(two_steps, tmp_path):
    project = Path(shutil.copytree(two_steps, tmp_path / "project", symlinks=True))
    edit(project / "params.yaml", "data: train/deception", "data: train/deception, learning_rate: 1.0e+30")
    edit(project / "prompts/judge/rules.yaml", "markers: 2", "markers: 3")
    before = stages(project)
    told = refused(project, "cantica", "repro", "--jobs", "2")
    assert "finite" in told and "train@deception  failed, see .cache/stages/train@deception-" in told
    assert "cantica: failed in train@deception\n" in told
    changed = {name for name, entry in stages(project).items() if entry != before[name]}
    assert changed == {"check", "audit", "judge@base"}


def test_a_target_is_that_of_dvc(two_steps, tmp_path):
    project = Path(shutil.copytree(two_steps, tmp_path / "project", symlinks=True))
    edit(project / "prompts/judge/rules.yaml", "markers: 2", "markers: 3")
    told = ok(project, "cantica", "repro", "judge@base")
    assert re.findall(r"^judge\S+", told, re.M) == ["judge@base"] and "report" not in told
    assert "nonsense" in refused(project, "cantica", "repro", "nonsense")
    assert run(project, "cantica", "repro", "--jobs", "0").returncode == 2


# ---- the order, pure

MAKERS = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"], "e": []}
SECONDS = {"a": 1.0, "b": 5.0, "c": 2.0, "d": 1.0, "e": 6.0}


def test_the_longest_chain_and_the_time_with_several_workers():
    assert lengths(MAKERS, SECONDS) == {"a": 7.0, "b": 6.0, "c": 3.0, "d": 1.0, "e": 6.0}
    assert longest_chain(MAKERS, SECONDS) == ["a", "b", "d"]
    assert [makespan(MAKERS, SECONDS, workers) for workers in (1, 2, 3)] == [15.0, 9.0, 7.0]
    assert (longest_chain({}, {}), makespan({}, {}, 2)) == ([], 0.0)


def test_a_gate_has_a_maker():
    stages = {
        "audit": {"deps": [], "outs": [{"path": "data/audit/passed.txt"}]},
        "train": {"deps": [{"path": "data/audit/passed.txt"}, {"path": "data"}], "outs": [{"path": "models/a"}]},
    }
    assert makers_of(stages) == {"audit": [], "train": ["audit"]}


def test_jobs_share_the_cores():
    cores = (0, 1, 2, 3, 4)
    assert [share(cores, job, 2) for job in range(2)] == [(0, 2, 4), (1, 3)]
    assert [share(cores, job, 6) for job in range(6)] == [(0,), (1,), (2,), (3,), (4,), (0,)]
    assert share(cores, 0, 1) == cores
    assert share((), 1, 2) == ()
