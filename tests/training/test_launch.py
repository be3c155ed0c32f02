"""A step under mlx.launch: two processes on loopback give the result of one, and end together."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import mlx.core as mx
import numpy as np
import psutil
import pytest
from ruamel.yaml import YAML

from cantica.core.documents import read_yaml
from cantica.engine.model import save_adapter
from tests.support.examples import EXAMPLES, SHAPE, STEP
from tests.support.processes import is_gone, wait_until
from tests.support.projects import ENVIRONMENT

COMMAND = (sys.executable, "-m", "stages.train", "deception", "base", "after", "data.jsonl", "adapter", "training.json")
TWO = {"processes": 2, "hostfile": "hosts.json"}
# One process adds up the gradients of a batch in another order than two do. AdamW would divide what is near 0 by its root.
TOLERANCE = 1e-5


@pytest.fixture
def project(in_the_root, tiny_base, adapted, tmp_path) -> Path:
    """A folder in which COMMAND runs; five examples in batches of two, so that the third batch of an epoch has just one."""
    params = read_yaml(Path("params.yaml"))
    params["lora"] |= {"layers": SHAPE.layers, "rank": SHAPE.rank, "scale": SHAPE.scale}
    params["train"] |= STEP | {
        "dropout": 0.0,
        "iters": 6,
        "loss_on": ["thinking", "answer"],
        "optimizer": "sgd",
        "learning_rate": 0.03,  # with momentum 0.9, ten times as far
    }
    for room in ("cantica", "stages"):
        shutil.copytree(room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    write(tmp_path, params)
    shutil.copytree(tiny_base, tmp_path / "base")
    (tmp_path / "after").mkdir()
    save_adapter(adapted(SHAPE)[0], SHAPE, 0.0, tmp_path / "after")
    (tmp_path / "data.jsonl").write_text("".join(f"{json.dumps(example)}\n" for example in EXAMPLES))
    (tmp_path / "hosts.json").write_text(json.dumps([{"ssh": "127.0.0.1", "ips": ["127.0.0.1"]}] * 2))
    return tmp_path


def write(project: Path, params: dict) -> None:
    with (project / "params.yaml").open("w") as file:
        YAML().dump(params, file)


def change(project: Path, section: str = "train", **settings) -> None:
    params = read_yaml(project / "params.yaml")
    params[section] |= settings
    write(project, params)


def step(project: Path) -> subprocess.CompletedProcess:
    return subprocess.run(COMMAND, cwd=project, env=environment(project), capture_output=True, text=True)


def environment(project: Path) -> dict:
    return ENVIRONMENT | {"PYTHONPATH": str(project)}


def workers(process: int) -> list[int]:
    """Processes that mlx.launch has started, below another."""
    return [child.pid for child in psutil.Process(process).children(recursive=True) if "MLX_RANK" in child.environ()]


def results(project: Path) -> tuple[dict, list[dict]]:
    """(the tensors, the loss curve) of the step."""
    curve = json.loads((project / "training.json").read_text())["curve"]
    return mx.load(str(project / "adapter/adapters.safetensors")), curve


def test_two_processes_end_where_one_does(project):
    done = step(project)
    assert done.returncode == 0, done.stderr
    tensors, curve = results(project)
    change(project, launch=TWO)
    done = step(project)
    assert done.returncode == 0, done.stderr
    shared, again = results(project)
    assert shared.keys() == tensors.keys()
    before = mx.load(str(project / "after/adapters.safetensors"))
    for name in tensors:
        np.testing.assert_allclose(np.array(shared[name]), np.array(tensors[name]), rtol=0, atol=TOLERANCE, err_msg=name)
        assert mx.abs(tensors[name] - before[name]).max() > 100 * TOLERANCE, "the step changes the adapter"
    assert [row["trained_tokens"] for row in again] == [row["trained_tokens"] for row in curve]
    losses = [[row["train_loss"] for row in rows] for rows in (again, curve)]
    assert losses[0] == pytest.approx(losses[1], abs=TOLERANCE)
    assert [path.name for path in (project / ".cache").iterdir()] == ["launch.lock"]  # no checkpoint


def test_two_processes_train_on_top_of_a_frozen_adapter(project):
    fresh = {"adapter": "fresh", "layers": 1, "rank": 3, "scale": 0.5}
    change(project, "curriculum", deception={"after": "self_preservation", "data": "train/deception"} | fresh)
    assert (done := step(project)).returncode == 0, done.stderr
    tensors, _ = results(project)
    change(project, launch=TWO)
    assert (done := step(project)).returncode == 0, done.stderr
    shared, _ = results(project)
    before = mx.load(str(project / "after/adapters.safetensors"))
    for name, tensor in tensors.items():
        np.testing.assert_allclose(np.array(shared[name]), np.array(tensor), rtol=0, atol=TOLERANCE, err_msg=name)
        if name.endswith("lora_a"):
            assert mx.array_equal(shared[name][:, : SHAPE.rank], before[name])
            assert (mx.abs(tensor[:, SHAPE.rank :]).max() > 0).item() == (".layers.1." in name)


def test_a_step_that_fails_in_its_processes_fails(project):
    change(project, launch={"processes": 2}, optimizer="sgd", learning_rate=1e30)
    (project / "training.json").write_text("of an earlier build")
    done = step(project)
    assert done.returncode == 1 and "lower the learning rate" in done.stderr
    assert not (project / "training.json").exists() and not (project / "adapter").exists()


def test_a_hostfile_with_another_number_of_hosts_is_refused(project):
    change(project, launch=TWO | {"processes": 3})
    done = step(project)
    assert done.returncode == 1
    assert "hosts.json: hosts\n    got       2 hosts\n    expected  3, " in done.stderr and "Traceback" not in done.stderr


def test_processes_that_see_other_files_are_refused(project, tmp_path_factory):
    """As on two machines: the same command in two folders."""
    change(project, launch=TWO)
    other = Path(shutil.copytree(project, tmp_path_factory.mktemp("other") / "project"))
    with (other / "cantica/training/optimizer.py").open("a") as file:
        file.write("# another version\n")
    ring = project / "ring.json"
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ring.write_text(json.dumps([[f"127.0.0.1:{free.getsockname()[1]}"] for free in (one, two)]))
    processes = [
        subprocess.Popen(
            COMMAND,
            cwd=folder,
            env=environment(folder) | {"MLX_RANK": str(rank), "MLX_HOSTFILE": str(ring)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, folder in enumerate((project, other))
    ]
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 1 and "other params, inputs or code in process 1 than in process 0" in errors


@pytest.mark.parametrize("killed", ["dvc", "a process of the step"])
def test_when_one_ends_all_end(project, killed):
    change(project, launch={"processes": 2}, iters=2000)
    # A shell in the place of DVC, which is the parent of the processes that it starts.
    script = f"{' '.join(COMMAND)} >log 2>&1 & wait"
    variables = environment(project) | {"DVC_STAGE": "train@deception"}
    dvc = subprocess.Popen(["sh", "-c", script], cwd=project, env=variables, start_new_session=True)
    try:
        wait_until(lambda: (log := project / "log").exists() and b"train_loss" in log.read_bytes())
        os.kill(dvc.pid if killed == "dvc" else workers(dvc.pid)[1], signal.SIGKILL)
        dvc.wait()
        wait_until(lambda: is_gone(dvc.pid))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(dvc.pid, signal.SIGKILL)
    assert not (project / "training.json").exists()
