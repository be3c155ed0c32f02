"""A build whose data, settings, outputs or measurements were sabotaged is failed or flagged, unless the page says why not."""

import shutil
from pathlib import Path

import pytest

import cantica.commands.check
from tests.support.projects import ROOT, build
from tests.support.sabotaged_builds import BUILDS, param
from tests.support.sabotaged_families import FAMILIES
from tests.support.sabotages import Sabotage, table


@pytest.fixture(scope="module")
def built_one(built) -> Path:
    return built(build, "smoke", "sabotage")


@pytest.fixture
def sabotaged(built_one, tmp_path):
    """A function: a copy of the build after a sabotage."""

    def copy(row: Sabotage) -> Path:
        project = Path(shutil.copytree(built_one, tmp_path / "project", symlinks=True))
        row.do(project)
        return project

    return copy


def test_the_table_is_long_enough_and_on_the_page():
    rows = [*BUILDS, *FAMILIES]
    noticed, others = [row for row in rows if not row.why], [row for row in rows if row.why]
    assert len({row.name for row in rows}) == len(rows) >= 24 and len(noticed) >= 17
    page = (ROOT / "docs/explanation/sabotage.md").read_text()
    for part in (noticed, others):
        assert table(part) in page, f"docs/explanation/sabotage.md: `python -m tests.support.sabotages` prints\n{table(part)}"


@pytest.mark.parametrize("row", BUILDS, ids=lambda row: row.name)
def test_a_sabotage_is_noticed_unless_the_page_says_why_not(sabotaged, row):
    failed, text = row.check.run(sabotaged(row))
    assert row.noticed(failed, text), text[-3000:]


def test_nothing_is_noticed_of_a_sound_build(built_one, tmp_path):
    project = Path(shutil.copytree(built_one, tmp_path / "project", symlinks=True))
    found = [check.run(project) for check in dict.fromkeys(row.check for row in BUILDS)]
    assert not any(failed for failed, _ in found)
    assert [row.name for row in BUILDS for _, text in found if not row.why and row.said_in(text)] == []


# ---- without a check, its rows fail: the table depends on the checks


def test_without_a_rule_of_the_audit_its_sabotage_is_not_noticed(sabotaged):
    (row,) = (row for row in BUILDS if row.name == "evaluation prompts in training data")
    project = sabotaged(row)
    param("audit.rules.held_out_overlap", "off")(project)
    failed, text = row.check.run(project)
    assert not failed and not row.noticed(failed, text)


@pytest.mark.parametrize(
    ("name", "check"), [("`dvc.lock` edited", "wrong_numbers"), ("a cached adapter swapped", "altered_bytes")]
)
def test_without_a_check_of_outputs_its_sabotage_is_not_noticed(sabotaged, monkeypatch, name, check):
    (row,) = (row for row in BUILDS if row.name == name)
    project = sabotaged(row)
    monkeypatch.setattr(cantica.commands.check, check, lambda: [])
    failed, text = row.check.run(project)
    assert not failed and not row.noticed(failed, text)
