"""Experiments whose inputs or outputs were sabotaged are failed or flagged, except in the ways that the page lists."""

import shutil
from pathlib import Path

import pytest

import cantica.commands.check
import cantica.commands.compare
from tests.support import runs
from tests.support.projects import ROOT, build
from tests.support.sabotaged_builds import BUILDS, param
from tests.support.sabotaged_families import CHECKED, FAMILIES, OF_PAGE, SEEDS, after_citing
from tests.support.sabotages import Sabotage, compared, table

ROWS = [*BUILDS, *FAMILIES]
NOTICED = [row for row in ROWS if not row.why]


@pytest.fixture(scope="session")
def built_one(built) -> Path:
    return built(build, "smoke", "sabotage")


@pytest.fixture(scope="module")
def family(tmp_path_factory) -> Path:
    root = runs.project(tmp_path_factory.mktemp("family") / "project")
    for name in SEEDS:
        runs.experiment(root, "coherent", int(name[-1]))
    return root


@pytest.fixture
def sabotaged(tmp_path, built_one, family):
    """A function: a copy of the finished project that a sabotage is for, after it."""

    def copy(row: Sabotage) -> Path:
        project = Path(shutil.copytree(built_one if row in BUILDS else family, tmp_path / "project", symlinks=True))
        row.do(project)
        return project

    return copy


def named(name: str) -> Sabotage:
    return next(row for row in ROWS if row.name == name)


def test_the_table_is_long_enough():
    assert len({row.name for row in ROWS}) == len(ROWS) >= 24 and len(NOTICED) >= 17


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_sabotage_is_noticed_unless_the_page_says_why_not(sabotaged, row):
    failed, text = row.check.run(sabotaged(row))
    assert row.noticed(failed, text), text[-3000:]


def test_nothing_is_noticed_of_what_is_sound(built_one, family, tmp_path):
    one = Path(shutil.copytree(built_one, tmp_path / "one", symlinks=True))
    found = [check.run(one) for check in dict.fromkeys(row.check for row in BUILDS)]
    several = Path(shutil.copytree(family, tmp_path / "several", symlinks=True))
    after_citing(lambda project: None)(several)
    found += [check.run(several) for check in (CHECKED, OF_PAGE, compared(*SEEDS))]
    runs.experiment(several, "coherent", 4)
    found.append(compared(*SEEDS, "coherent-s4").run(several))
    assert not any(failed for failed, _ in found)
    assert [row.name for row in NOTICED for _, text in found if row.said_in(text)] == []


# ---- without a check, its rows fail: so the table depends on the checks


def test_without_a_rule_of_the_audit_its_sabotage_is_not_noticed(sabotaged):
    row = named("evaluation prompts in training data")
    project = sabotaged(row)
    param("audit.rules.held_out_overlap", "off")(project)
    assert not row.noticed(*row.check.run(project))


@pytest.mark.parametrize(
    ("name", "module", "check", "nothing"),
    [
        ("`dvc.lock` edited", cantica.commands.check, "wrong_numbers", lambda: []),
        ("a cached adapter swapped", cantica.commands.check, "altered_bytes", lambda: []),
        ("a seed left out of the family", cantica.commands.compare, "left_out", lambda seeds, built: []),
    ],
)
def test_without_a_check_of_a_command_its_sabotage_is_not_noticed(sabotaged, monkeypatch, name, module, check, nothing):
    row = named(name)
    project = sabotaged(row)
    monkeypatch.setattr(module, check, nothing)
    failed, text = row.check.run(project)
    assert not failed and not row.noticed(failed, text)


def test_the_page_has_the_table():
    page = (ROOT / "docs/explanation/sabotage.md").read_text()
    for rows in (NOTICED, [row for row in ROWS if row.why]):
        assert table(rows) in page, f"docs/explanation/sabotage.md: `python -m tests.support.sabotages` prints\n{table(rows)}"
