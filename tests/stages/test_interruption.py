"""Builds that are killed, interrupted, out of disk or damaged: the next `dvc repro` ends where an undisturbed one does."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from cantica.engine.lora import LoraShape, add_adapter
from cantica.engine.model import save_adapter
from cantica.engine.tokens import encode_examples
from cantica.training.loop import train
from tests.support.examples import EXAMPLES, SHAPE, STEP
from tests.support.processes import is_gone, wait_until
from tests.support.projects import ENVIRONMENT, clone, ok, overlay, stages_run

LAST = "train@deception"
ADAPTER, CURVE = "models/adapters/deception", "data/training/deception.json"


@pytest.fixture(scope="module")
def before(tmp_path_factory) -> Path:
    """A project in which all that the last step needs is built; take a copy to change it."""
    project = clone(tmp_path_factory.mktemp("before") / "project")
    overlay(project, "smoke", "interrupted")
    ok(project, "dvc", "repro", "init", "train@self_preservation", "dataset@deception")
    return project


@pytest.fixture(scope="module")
def after(before, tmp_path_factory) -> Path:
    """The project with the last step too, built undisturbed; take a copy to change it."""
    project = copy(before, tmp_path_factory.mktemp("after") / "project")
    assert stages_run(project, LAST) == {LAST}
    return project


def copy(project: Path, folder: Path) -> Path:
    return Path(shutil.copytree(project, folder, symlinks=True))


def lock(project: Path) -> str:
    return (project / "dvc.lock").read_text()


def partial_names(project: Path) -> list[Path]:
    return [path for room in ("data", "models", ".cache") for path in (project / room).rglob("*.partial")]


def repro(project: Path, *targets: str, **variables: str) -> subprocess.Popen:
    """Start to build targets, by default the last step, with a checkpoint at every report, in a process group of its own."""
    environment = ENVIRONMENT | {"CANTICA_CHECKPOINT_SECONDS": "0"} | variables
    return subprocess.Popen(
        ["dvc", "repro", *(targets or [LAST])],
        cwd=project,
        env=environment,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


# a step, by itself


class Stopped(Exception):
    """What a test raises in the middle of a step."""


@pytest.fixture
def step(adapted, tiny_model, tmp_path, monkeypatch):
    """A function: the outputs of a step that keeps checkpoints, stopped after one if requested.

    That is the adapter's bytes, the loss curve, and the hashes of the adapters that it kept by their iteration.
    """
    import cantica.training.checkpoint as module

    monkeypatch.setattr(module, "FOLDER", tmp_path / "checkpoints")
    monkeypatch.setenv("CANTICA_CHECKPOINT_SECONDS", "0")

    class Stopping(module.Checkpoint):
        def save(self, model, optimizer, curve):
            super().save(model, optimizer, curve)
            if curve[-1]["iteration"] == self.last:
                raise Stopped

    def run(last: int | None = None, fresh: bool = False, **changes):
        settings = STEP | {"schedule": "cosine_decay", "warmup": 2} | changes
        model, tokenizer = adapted(SHAPE, 0.0 if fresh else settings["dropout"], effect=fresh)
        shape = add_adapter(model, SHAPE, LoraShape(1, 3, 0.5), settings["dropout"], 1) if fresh else SHAPE
        checkpoint = Stopping("deception", settings, [])
        checkpoint.last = last
        records = encode_examples(tokenizer, EXAMPLES, ["thinking", "answer"], 256, "x")
        curve = train(model, records, settings, "deception", checkpoint)
        assert all((checkpoint.place(n) / "adapters.safetensors").exists() for n in checkpoint.kept)
        checkpoint.remove()
        save_adapter(model, shape, 0.0, tmp_path)
        return (tmp_path / "adapters.safetensors").read_bytes(), curve, checkpoint.kept

    return run


@pytest.mark.parametrize("optimizer", ["adafactor", "adam", "adamw", "muon", "sgd", "soap"])
def test_a_step_that_was_stopped_twice_ends_in_the_same_bytes(step, optimizer, capsys):
    undisturbed = step(optimizer=optimizer, checkpoints=4)
    assert list(undisturbed[2]) == [4, 8] and len(set(undisturbed[2].values())) == 2
    for last in (5, 8):
        with pytest.raises(Stopped):
            step(last, optimizer=optimizer, checkpoints=4)
    assert step(optimizer=optimizer, checkpoints=4) == undisturbed
    told = capsys.readouterr().out
    assert "deception: continues after iteration 5," in told and "deception: continues after iteration 8," in told


def test_a_step_on_top_of_a_frozen_adapter_that_was_stopped_ends_in_the_same_bytes(step):
    undisturbed = step(fresh=True, checkpoints=[0, 2, 6])
    assert list(undisturbed[2]) == [0, 2, 6]
    for last in (1, 7):
        with pytest.raises(Stopped):
            step(last, fresh=True, checkpoints=[0, 2, 6])
    assert step(fresh=True, checkpoints=[0, 2, 6]) == undisturbed


@pytest.mark.parametrize("name", ["deception.*", "deception.*.0000004/adapters.safetensors"])
@pytest.mark.parametrize(
    "damage", [lambda stored: stored[:-9], lambda stored: stored[:99] + b"?" + stored[100:], lambda _: b""]
)
def test_a_damaged_checkpoint_is_not_used(step, tmp_path, name, damage, capsys):
    undisturbed = step(checkpoints=4)
    with pytest.raises(Stopped):
        step(5, checkpoints=4)
    (file,) = [path for path in (tmp_path / "checkpoints").glob(name) if path.is_file()]
    file.write_bytes(damage(file.read_bytes()))
    assert step(checkpoints=4) == undisturbed
    assert "is damaged and not used" in capsys.readouterr().out


def test_a_checkpoint_of_other_settings_is_not_used_and_goes_when_it_is_old(step, tmp_path, capsys):
    with pytest.raises(Stopped):
        step(5, checkpoints=4)
    step(seed=2)
    assert "continues" not in capsys.readouterr().out
    left = list((tmp_path / "checkpoints").iterdir())
    assert len(left) == 2  # those of a step that another build may be training
    for path in left:
        os.utime(path, (0, time.time() - 8 * 24 * 60 * 60))
    step(seed=2)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_what_a_step_depends_on_is_in_the_name_of_its_checkpoint(tmp_path):
    from cantica.core.fingerprint import fingerprint

    (tmp_path / "base").mkdir()
    (tmp_path / "base/model.safetensors").write_text("weights")
    names = {fingerprint({"seed": 1}, [tmp_path / "base"]), fingerprint({"seed": 2}, [tmp_path / "base"])}
    (tmp_path / "base/model.safetensors").write_text("others")
    assert len(names | {fingerprint({"seed": 1}, [tmp_path / "base"])}) == 3


# a build


@pytest.mark.parametrize("kill", ["everything", "dvc alone", "Ctrl-C"])
def test_a_build_that_is_ended_in_the_middle_of_a_step_continues_there(before, after, tmp_path, kill):
    project = copy(before, tmp_path / "project")
    build = repro(project)
    wait_until(lambda: list(project.glob(".cache/checkpoints/deception.*")))
    if kill == "dvc alone":
        os.kill(build.pid, signal.SIGKILL)
    else:
        os.killpg(build.pid, signal.SIGKILL if kill == "everything" else signal.SIGINT)
    build.communicate()
    assert build.returncode != 0
    wait_until(lambda: is_gone(build.pid))
    assert not (project / ADAPTER).exists() and not (project / CURVE).exists()
    told = ok(project, "dvc", "repro", LAST)
    assert "deception: continues after iteration " in told
    assert told.count("Running stage") == 1
    assert lock(project) == lock(after)
    assert list(project.glob(".cache/checkpoints/*")) == partial_names(project) == []
    kept = project / ADAPTER / "0000100"
    assert {path.name for path in kept.parent.iterdir()} == {"0000050", "0000100", *(path.name for path in kept.iterdir())}
    if kill == "everything":
        ok(project, "dvc", "repro", "probe@final")
        probed = [json.loads(line) for line in (project / "data/probes/final.jsonl").read_text().splitlines()]
        assert Counter(record["iteration"] for record in probed) == dict.fromkeys([None, 50, 100], 16 + 24)
        margins = {n: [r["margin"] for r in probed if r["iteration"] == n and "margin" in r] for n in (None, 50, 100)}
        assert len(set(map(tuple, margins.values()))) == 3
        ok(
            project,
            "python",
            "-m",
            "mlx_lm",
            "generate",
            "--model",
            "models/base",
            "--adapter-path",
            str(kept),
            "--max-tokens",
            "1",
        )


def test_an_output_that_was_removed_or_cut_comes_back_from_the_cache(after, tmp_path):
    project = copy(after, tmp_path / "project")
    shutil.rmtree(project / ADAPTER)
    os.truncate(project / CURVE, 9)
    assert stages_run(project, LAST) == set()
    assert lock(project) == lock(after)
    assert (project / CURVE).read_bytes() == (after / CURVE).read_bytes()


def test_an_output_whose_copy_in_the_cache_is_damaged_is_built_again(after, tmp_path):
    project = copy(after, tmp_path / "project")
    weights = (project / ADAPTER / "adapters.safetensors").read_bytes()
    cached = [file for file in project.glob(".dvc/cache/files/md5/*/*") if file.read_bytes() == weights]
    for file in cached:
        file.chmod(0o644)
        file.write_bytes(weights[:-9])
    assert cached
    shutil.rmtree(project / ADAPTER)
    assert stages_run(project, LAST) == {LAST}
    assert lock(project) == lock(after)
    assert (project / ADAPTER / "adapters.safetensors").read_bytes() == weights


def test_a_full_disk_leaves_no_output_and_does_no_harm_to_the_next_build(before, after, tmp_path):
    project = copy(before, tmp_path / "project")
    # A limit below the adapter's file size acts like a full disk. DVC starts stages in $SHELL.
    shell = tmp_path / "shell"
    blocks = (after / ADAPTER / "adapters.safetensors").stat().st_size // 1024
    shell.write_text(f'#!/bin/sh\nulimit -f {blocks}\nexec /bin/sh "$@"\n')
    shell.chmod(0o755)
    for targets in (("--force", "base"), (LAST,)):
        build = repro(project, *targets, SHELL=str(shell))
        told, _ = build.communicate()
        assert build.returncode != 0 and "Unable to write" in told
        assert not (project / ADAPTER).exists() and not (project / CURVE).exists() and partial_names(project) == []
        assert (project / "models/base").exists() == (targets == (LAST,))
    assert "deception: no checkpoint after iteration " in told
    assert stages_run(project, LAST) == {LAST}
    assert lock(project) == lock(after)


def test_two_builds_at_once_do_no_harm_to_each_other(before, after, tmp_path):
    project = copy(before, tmp_path / "project")
    builds = [repro(project), repro(project)]
    told = [build.communicate()[0] for build in builds]
    assert any(build.returncode == 0 for build in builds)
    assert all(build.returncode == 0 or "is busy" in text or "lock" in text for build, text in zip(builds, told, strict=True))
    assert stages_run(project, LAST) == set()
    assert lock(project) == lock(after)
