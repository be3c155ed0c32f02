"""The published architecture in miniature builds alike; outputs do not depend on who builds; no step is trained twice."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cantica.commands.yaml_text import from_text
from tests.support.projects import ENVIRONMENT, edit, stages_run

# The stages that run a model or compute with NumPy.
COMPUTING = {"init", "train", "measure_base", "measure", "respond", "probe", "capability", "fuse", "audit", "report"}


@pytest.fixture(scope="module")
def project(two_steps, tmp_path_factory) -> Path:
    return Path(shutil.copytree(two_steps, tmp_path_factory.mktemp("same") / "project", symlinks=True))


def test_the_published_architecture_takes_the_same_path(two_steps):
    config = json.loads((two_steps / "models/base/config.json").read_text())
    assert config["model_type"] == "olmo3" and config["quantization"]["bits"] == 4
    metrics = json.loads((two_steps / "reports/metrics.json").read_text())
    assert metrics["final"]["loss_nats"] != metrics["base"]["loss_nats"]
    assert "quantization" not in json.loads((two_steps / "models/fused/config.json").read_text())


# NumPy features that a processor with AVX2 and without AVX-512 lacks.
WITHOUT_AVX512 = {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR"}
ELSEWHERE = WITHOUT_AVX512 | {"OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}


def test_another_processor_gives_the_same_bytes(project):
    """One on which OpenBLAS would pick another kernel and NumPy other instructions, with more threads for a product."""
    before = (project / "dvc.lock").read_text()
    stages = [name for name in from_text(before)["stages"] if name.split("@")[0] in COMPUTING]
    command = ["dvc", "repro", "--force", "--single-item", *stages]
    done = subprocess.run(command, cwd=project, env=ENVIRONMENT | ELSEWHERE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert set(re.findall("Running stage '(.+?)'", done.stdout)) == set(stages) and len(stages) > 12
    assert (project / "dvc.lock").read_text() == before


def test_another_processor_samples_and_trains_on_top_with_the_same_bytes(branches, tmp_path):
    project = Path(shutil.copytree(branches, tmp_path / "project", symlinks=True))
    shutil.rmtree(project / ".cache")  # the answers of samples that were generated
    before = (project / "dvc.lock").read_text()
    stages = ["sample@own", "sample@again", "train@remove", "train@restore", "train@nothing", "measure@restore"]
    stages += ["respond@early", "respond@asked", "probe@asked", "capability@asked", "answers@published", "report", "fuse"]
    command = ["dvc", "repro", "--force", "--single-item", *stages]
    done = subprocess.run(command, cwd=project, env=ENVIRONMENT | ELSEWHERE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert set(re.findall("Running stage '(.+?)'", done.stdout)) == set(stages)
    assert (project / "dvc.lock").read_text() == before


def test_no_output_tells_where_when_or_by_whom_it_was_made(project):
    tokens = [str(project).encode(), str(project.parent.parent).encode()]
    outputs = [path for room in ("data", "models", "reports") for path in (project / room).rglob("*") if path.is_file()]
    assert len(outputs) > 30
    assert [path for path in outputs if any(token in path.read_bytes() for token in tokens)] == []


def test_a_family_of_variants_trains_each_distinct_step_once(project):
    params = project / "params.yaml"
    first, last = "data: train/self_preservation", "data: train/deception"
    trained = []
    for old, new in ((last, f"{last}, iters: 4"), (last, f"{last}, iters: 5"), (first, f"{first}, iters: 4"), (last, last)):
        before = params.read_text()
        edit(params, old, new)
        trained += sorted(stages_run(project, "train"))
        params.write_text(before)
    # Two trainings of the last step, both steps of the third, and none for what existed at the start.
    assert [name for name in trained if name.startswith("train")] == [
        "train@deception",
        "train@deception",
        "train@deception",
        "train@self_preservation",
    ]
