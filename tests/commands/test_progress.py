"""How far builds are: shown live in a terminal, and in plain lines elsewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cantica.commands.builds.progress import training
from tests.support.projects import ENVIRONMENT, ROOT
from tests.support.terminal import in_terminal

LOG = """Running stage 'train@b':
> python -m stages.train b …
b: iteration 1 of 20, train_loss 3.500, 90 tokens per second
b: iteration 2 of 20, train_loss 3.412, 90 tokens per second
"""
SHOWN = """
import sys
from pathlib import Path
from cantica.commands.builds.progress import Progress, Status
with Progress(["one-s1", "two"]) as progress:
    for name in ("one-s1", "two"):
        progress.begin(name)
    training = Status({"train@b": Path(sys.argv[1]), "judge@base": Path("none")}, 2, 5, 7530.0)
    progress.at({"one-s1": training, "two": Status(of=5, left=5190.0)})
    progress.end("two", "failed in train@a, see [log]")
    progress.end("one-s1", "done, 2 steps trained")
"""


@pytest.fixture
def log(tmp_path) -> Path:
    """The log of a step that trains."""
    file = tmp_path / "train@b.log"
    file.write_text(LOG)
    return file


def test_iteration_and_loss_are_those_at_the_end_of_the_log(log, tmp_path):
    assert training(log) == "iteration 2 of 20, training loss 3.412"
    log.write_text("x" * 20_000 + "\n" + LOG)
    assert training(log) == "iteration 2 of 20, training loss 3.412"
    log.write_text("Running stage 'judge@base':\n")
    assert training(log) == training(tmp_path / "none") == ""


def test_in_a_file_there_is_a_plain_line_for_each_run_that_ended(log):
    done = subprocess.run(
        [sys.executable, "-c", SHOWN, str(log)], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert [re.sub(r" +\d+ s +", " ", line) for line in done.stdout.splitlines()] == [
        "two failed in train@a, see [log]",
        "one-s1 done, 2 steps trained",
    ]


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}], ids=["colours", "no colours"])
def test_in_a_terminal_a_table_shows_what_runs_and_lines_stay(log, environment):
    said = in_terminal(ROOT, sys.executable, "-c", SHOWN, str(log), **environment)
    colours = re.findall(r"\x1b\[(?:\d+;)*3\dm", said)
    assert bool(colours) == (not environment)
    words = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", said)
    running = (
        r"one-s1 +\d+ s +train@b \d+ s, judge@base \d+ s +stage 3 of 5 +about 2 h 5 min left +iteration 2 of 20, training loss"
    )
    assert re.search(running, words) and re.search(r"two +\d+ s +waits +stage 1 of 5 +about 1 h 26 min left", words)
    assert "failed in train@a, see [log]" in words and words.rstrip().endswith("done, 2 steps trained")


def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(log):
    assert "\x1b" not in in_terminal(ROOT, sys.executable, "-c", SHOWN, str(log), TERM="dumb")
