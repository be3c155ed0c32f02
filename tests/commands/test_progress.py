"""How far builds are: read from their logs, shown live in a terminal, and in plain lines elsewhere."""

import re
import subprocess
import sys

import pytest

from cantica.commands.variants.progress import Status, status
from tests.support.projects import ENVIRONMENT, ROOT
from tests.support.terminal import in_terminal

LOG = """Running stage 'render@a':
Running stage 'train@a':
> python -m stages.train a …
a: iteration 10 of 20, train_loss 4.000, 90 tokens per second
Running stage 'train@b':
b: iteration 1 of 20, train_loss 3.500, 90 tokens per second
b: iteration 2 of 20, train_loss 3.412, 90 tokens per second
"""
EXPECTED = {"render@a": 1.0, "train@a": 30.0, "train@b": 30.0, "train@c": 25.0, "report": None}
SHOWN = """
from cantica.commands.variants.progress import Progress, Status
with Progress(["one-s1", "two"]) as progress:
    for name in ("one-s1", "two"):
        progress.begin(name)
    training = Status("train@b", 2, 5, 25.0, 100.0, "iteration 2 of 20, training loss 3.412")
    progress.at({"one-s1": training, "two": Status(of=5, left=86.0)})
    progress.end("two", "failed in train@a, see [log]")
    progress.end("one-s1", "done, 2 steps trained")
"""


def test_a_status_is_read_from_the_log_and_the_plan():
    assert status(LOG, EXPECTED) == Status("train@b", 2, 5, 25.0, 30.0, "iteration 2 of 20, training loss 3.412")
    assert status("", EXPECTED) == Status("", 0, 5, 86.0)
    assert status(LOG, {}) == Status("train@b", 2, 0, None, None, "iteration 2 of 20, training loss 3.412")
    restored = status(f"{LOG}Running stage 'report':\n", {"report": None})
    assert restored == Status("report", 3, 4, None, None, "")


def test_in_a_file_there_is_a_plain_line_for_each_run_that_ended():
    done = subprocess.run([sys.executable, "-c", SHOWN], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert [re.sub(r" +\d+ s +", " ", line) for line in done.stdout.splitlines()] == [
        "two failed in train@a, see [log]",
        "one-s1 done, 2 steps trained",
    ]


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}], ids=["colours", "no colours"])
def test_in_a_terminal_a_table_shows_what_runs_and_lines_stay(environment):
    said = in_terminal(ROOT, sys.executable, "-c", SHOWN, **environment)
    colours = re.findall(r"\x1b\[(?:\d+;)*3\dm", said)
    assert bool(colours) == (not environment)
    words = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", said)
    running = r"one-s1 +\d+ s +train@b +stage 3 of 5 +about 2 min \d s left +iteration 2 of 20, training loss 3\.412"
    assert re.search(running, words) and re.search(r"two +\d+ s +starts +stage 1 of 5 +about 1 min 26 s left", words)
    assert "failed in train@a, see [log]" in words and words.rstrip().endswith("done, 2 steps trained")


def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines():
    assert "\x1b" not in in_terminal(ROOT, sys.executable, "-c", SHOWN, TERM="dumb")
