"""`cantica tree`: the tree of a build as text and as a flowchart, with the states that DVC's records give."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from cantica.commands.dvc.forecast import LOST, NEVER, Forecast
from cantica.commands.dvc.running import running
from cantica.commands.tree import mermaid_text, rows, states, text
from cantica.core.documents import read_yaml
from tests.support.projects import edit, ok


@pytest.fixture
def found(branches) -> list:
    """The rows of a tree with every kind of step, sample and arm, of which two stages are not as they should be."""
    params = read_yaml(branches / "params.yaml")
    stages = ["base", "init", "train@install", "train@restore", "sample@own", "probe@early", "capability@early"]
    state = dict.fromkeys(stages, "built") | {"capability@early": "stale", "train@restore": "running"}
    return rows(params, state, {("step", "install"): "training loss 2.000"})


def test_what_follows_stands_below_and_arms_stand_at_their_points(found):
    drawn = [re.sub(r"  +(?:stale|running|not built|built).*", "", line) for line in text(found).split("\n\n")[0].splitlines()]
    assert drawn == [
        "○ base",
        "│   ▸ base",
        "├─◆ own",
        "└─● install",
        "  │   ▸ early at 1",
        "  │   ▸ asked + system prompt",
        "  ├─◆ again",
        "  ├─● remove",
        "  │ ● restore",
        "  │     ▸ final",
        "  └─● nothing",
        "▸ published",
    ]


def test_a_row_has_the_worst_state_of_its_stages_and_its_number(found):
    state = {(row.kind, row.name): row.state for row in found}
    assert state["arm", "early"] == "stale" and state["step", "restore"] == "running" and state["step", "remove"] == "not built"
    printed = text(found)
    assert re.search(r"● install +built +training loss 2\.000 +train/greetings, 2 × ", printed)
    assert printed.endswith("3 built, 1 stale, 7 not built, 1 running; `cantica plan` says why, and what would run")


def test_states_are_those_of_the_forecast():
    forecasts = {
        "same": Forecast("up to date"),
        "kept": Forecast("restored", "params: train.iters"),
        "new": Forecast("runs", NEVER),
        "lost": Forecast("runs", LOST[1]),
        "edited": Forecast("runs", "params: train.iters"),
        "now": Forecast("runs", "params: train.iters"),
    }
    assert states(forecasts, {"now", "other"}) == {
        "same": "built",
        "kept": "in the cache",
        "new": "not built",
        "lost": "not built",
        "edited": "stale",
        "now": "running",
    }


def test_a_stage_runs_while_the_process_lives_that_writes_its_outputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    graph = {name: {"outs": [{"path": f"models/{name}"}]} for name in ("one", "two", "three")}
    assert running(graph) == set()
    (locks := tmp_path / ".dvc/tmp/rwlock").parent.mkdir(parents=True)
    writer = {"cmd": "dvc repro"}
    written = {f"{tmp_path}/models/one": writer | {"pid": os.getpid()}, f"{tmp_path}/models/two": writer | {"pid": 2**22 + 1}}
    locks.write_text(json.dumps({"write": written, "read": {}}))
    assert running(graph) == {"one"}
    locks.write_text('{"write": {')
    assert running(graph) == set()


def test_the_flowchart_has_each_row_its_state_and_where_data_goes(found):
    lines = mermaid_text(found).splitlines()
    assert lines[0] == "flowchart TD" and '  arm_early>"early at 1<br/>stale"]:::stale' in lines
    assert "  base_base --> step_install" in lines and "  step_install -.-> sample_again" in lines
    assert "  sample_own -. data .-> step_remove" in lines and "  sample_again -. data .-> step_restore" in lines
    assert any(line.startswith("  classDef not_built fill:") for line in lines)


def test_an_edit_makes_what_follows_it_stale(smoke, tmp_path):
    before = ok(smoke, "cantica", "tree")
    assert "stale" not in before and "training loss" in before and "loss nats" in before
    project = Path(shutil.copytree(smoke, tmp_path / "project", symlinks=True))
    last = re.findall(r"● (\w+) +built", before)[-1]
    edit(project / "params.yaml", f"data: train/{last}", f"iters: 3, data: train/{last}")
    after = ok(project / "prompts", "cantica", "tree")
    assert re.findall(r"[●▸] (\w+) +stale", after) == [last, "final"]
