"""The environment of the peers, `.venv-bench/`: mlx-lm without patches, and torch with PEFT where pip finds them."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

from benchmarks.peers.client import ROOT, SCRATCH, default_core
from cantica.commands.checks.kernels import probe
from cantica.engine.backend.patches.mlx import LIBRARY

FOLDER = ROOT / ".venv-bench"
PYTHON = FOLDER / "bin/python"
# requirements.lock has the versions of mlx-lm and its dependencies: the ones that Cantica uses.
MLX_LM = ["mlx-lm", "mlx[cpu]; sys_platform == 'linux'"]
TORCH = ["torch==2.13.0", "peft==0.21.2", "accelerate==1.15.0"]

OURS, OURS_BY_DEFAULT = "Cantica", "Cantica, default kernel"
MLX_BLAS, MLX_ALONE, TORCH_PEFT = "mlx-lm + OpenBLAS", "mlx-lm", "torch + PEFT"


def peers() -> dict[str, dict]:
    """The peers that can be measured here, {name: arguments of Client}, Cantica first.

    A peer that cannot be installed is named and left out.
    """
    found: dict[str, dict] = {OURS: {"module": "ours", "core": fastest_core()}}
    if fastest_core() not in ("", default_core()):
        found[OURS_BY_DEFAULT] = {"module": "ours", "core": default_core(), "log": SCRATCH / "default.log"}
    if installed("torch", TORCH):
        found[TORCH_PEFT] = {"module": "torch_peft", "python": str(PYTHON)}
    if installed("mlx-lm", MLX_LM):
        found[MLX_ALONE] = {"module": "stock", "python": str(PYTHON), "log": FOLDER / "mlx-lm.log"}
        # Elsewhere MLX comes with a BLAS of its own.
        if Path(LIBRARY).exists():
            found[MLX_BLAS] = {"module": "stock", "python": str(PYTHON), "CANTICA_BENCH_BLAS": LIBRARY}
    return found


@cache
def fastest_core() -> str:
    """The core whose kernel OpenBLAS takes for this processor; "" where MLX comes with another BLAS."""
    found = probe(None) if Path(LIBRARY).exists() else None
    return found.core if found else ""


def installed(name: str, requirements: list[str]) -> bool:
    """Install what is missing. Where pip cannot, print the reason and return False."""
    marker = FOLDER / f".ready-{name}"
    if marker.exists() and marker.read_text() == json.dumps(requirements):
        return True
    print(f"\nbenchmark: installing {' '.join(requirements)} into {FOLDER.name}", flush=True)
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", FOLDER], check=True)
    pip = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--constraint", "requirements.lock"]
    done = subprocess.run([*pip, *requirements], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        reason = next((line for line in reversed(done.stderr.splitlines()) if line.startswith("ERROR")), done.stderr[-300:])
        print(f"benchmark: {name} cannot be installed and is not measured; pip says: {reason}", flush=True)
        return False
    marker.write_text(json.dumps(requirements))
    return True
