"""Every kind of edit of a tree with samples, new adapters and arms of every kind runs just the stages that it must."""

import shutil
from pathlib import Path

import pytest

from tests.support.branches import BRANCHES
from tests.support.edits import consequences


@pytest.fixture(scope="module")
def project(branches, tmp_path_factory) -> Path:
    return Path(shutil.copytree(branches, tmp_path_factory.mktemp("edits") / "project", symlinks=True))


def test_the_table_is_long_enough():
    assert len(BRANCHES) >= 20 and len({change.name for change in BRANCHES}) == len(BRANCHES)


@pytest.mark.parametrize("change", BRANCHES, ids=lambda change: change.name)
def test_an_edit_runs_what_it_must_and_nothing_else(project, change):
    assert consequences(project, change) == change.runs
