"""Runs with several seeds, and cited runs, that were sabotaged are failed or flagged, unless the page says why not."""

import shutil
from pathlib import Path

import pytest

import cantica.commands.compare
from tests.support import runs
from tests.support.projects import ok
from tests.support.sabotaged_families import CHECKED, FAMILIES, OF_PAGE, SEEDS, after_citing
from tests.support.sabotages import Sabotage, compared


@pytest.fixture(scope="module")
def family(tmp_path_factory) -> Path:
    """Three finished runs of one variant. What `cantica check` counted of the default categories is kept."""
    root = runs.project(tmp_path_factory.mktemp("family") / "project")
    for seed in (1, 2, 3):
        runs.experiment(root, "coherent", seed)
    ok(root, "cantica", "check")
    return root


@pytest.fixture
def sabotaged(family, tmp_path):
    """A function: a copy of the family after a sabotage."""

    def copy(row: Sabotage) -> Path:
        project = Path(shutil.copytree(family, tmp_path / "project", symlinks=True))
        row.do(project)
        return project

    return copy


@pytest.mark.parametrize("row", FAMILIES, ids=lambda row: row.name)
def test_a_sabotage_is_noticed_unless_the_page_says_why_not(sabotaged, row):
    failed, text = row.check.run(sabotaged(row))
    assert row.noticed(failed, text), text[-3000:]


def test_nothing_is_noticed_of_sound_runs(family, tmp_path):
    project = Path(shutil.copytree(family, tmp_path / "project", symlinks=True))
    after_citing(lambda project: None)(project)
    found = [check.run(project) for check in (CHECKED, OF_PAGE, compared(*SEEDS))]
    runs.experiment(project, "coherent", 4)
    found.append(compared(*SEEDS, "coherent-s4").run(project))
    assert not any(failed for failed, _ in found)
    assert [row.name for row in FAMILIES for _, text in found if not row.why and row.said_in(text)] == []


def test_without_the_note_on_seeds_a_seed_left_out_is_not_noticed(sabotaged, monkeypatch):
    (row,) = (row for row in FAMILIES if row.name == "a seed left out of the family")
    project = sabotaged(row)
    monkeypatch.setattr(cantica.commands.compare, "left_out", lambda seeds, built: [])
    failed, text = row.check.run(project)
    assert not failed and not row.noticed(failed, text)
