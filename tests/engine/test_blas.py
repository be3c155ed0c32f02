"""Which BLAS kernel computes is declared, and a stage computes with that one, whatever the environment says."""

import re
import subprocess
import sys

import pytest

from cantica.commands.checks.kernels import Kernel, compare_kernels, speeds_text
from cantica.core.documents import faults, validator
from cantica.core.errors import InputError
from cantica.engine.backend.patches.mlx import LIBRARY
from tests.support.projects import ENVIRONMENT, ROOT

pytestmark = pytest.mark.skipif(not compare_kernels("Haswell"), reason="no OpenBLAS here, or no kernel Haswell")

LOADED = """
from threadpoolctl import threadpool_info
print(sorted((found["architecture"], found["num_threads"]) for found in threadpool_info()))
"""


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess:
    plain = {key: value for key, value in ENVIRONMENT.items() if not key.startswith("OPENBLAS_")}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=plain | environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "2", "OPENBLAS_L2_SIZE": "512"},
        {"OMP_NUM_THREADS": "2", "OPENBLAS_BLOCK_FACTOR": "2"},
    ],
    ids=["as it is", "another kernel and two threads", "other names for both"],
)
def test_a_stage_computes_with_the_declared_kernel_and_one_thread(environment):
    done = run_python(f"from cantica.engine.backend.blas import read_model_params; read_model_params(){LOADED}", **environment)
    assert done.stdout == "[('Haswell', 1), ('Haswell', 1)]\n", done.stderr


def test_a_kernel_for_which_another_is_taken_stops_the_stage():
    done = run_python("from cantica.engine.backend.blas import fix_blas; fix_blas('Zen')")
    assert "toolchain.model.blas-core\n    got       Zen, for which" in done.stderr and LIBRARY in done.stderr
    assert "takes Haswell" in done.stderr and "write Haswell into params.yaml" in done.stderr


def test_a_library_that_was_loaded_before_stops_the_stage():
    done = run_python(
        "import numpy; from cantica.engine.backend.blas import fix_blas; fix_blas('Haswell')", OPENBLAS_NUM_THREADS="2"
    )
    assert "2 threads in" in done.stderr and "loaded too early" in done.stderr


@pytest.mark.parametrize("core", ["native", "auto", "", 8])
def test_a_kernel_is_named(core):
    (problem,) = faults(
        {"blas-core": core}, validator("params").evolve(schema=_section("toolchain")["properties"]["model"]), "params.yaml"
    )
    assert "as OpenBLAS names it" in problem.expected


def _section(name: str) -> dict:
    return validator("params").schema["properties"][name]


def test_check_says_which_kernel_is_fastest_and_refuses_one_that_is_none():
    haswell, skylake = Kernel("Haswell", 75.4), Kernel("SkylakeX", 139.6)
    speed = "BLAS kernel Haswell (toolchain.model.blas-core): 75 GFLOP/s on one core"
    faster = f"{speed}; SkylakeX would be faster here, 140 GFLOP/s, but its results differ in the last digits"
    assert speeds_text(haswell, skylake) == faster
    for chosen in (None, Kernel("Haswell", 90.0), Kernel("SkylakeX", 80.0)):
        assert speeds_text(haswell, chosen) == f"{speed}, the fastest on this processor"
    assert re.match(r"BLAS kernel Nehalem \(toolchain\.model\.blas-core\): \d+ GFLOP/s on one core", compare_kernels("Nehalem"))
    with pytest.raises(InputError, match="Zen, for which OpenBLAS takes Haswell"):
        compare_kernels("Zen")


def test_without_openblas_no_model_is_loaded(tiny_base, tmp_path):
    """Where the environment's own copy is missing, MLX would compute with its reference BLAS."""
    code = f"""
from pathlib import Path
import _cantica_startup.mlx
_cantica_startup.mlx.LIBRARY = "/none"
from cantica.engine.model import load_base
load_base(Path({str(tiny_base)!r}))
"""
    done = run_python(code)
    assert "MLX with its reference BLAS" in done.stderr and "run `make setup`" in done.stderr
