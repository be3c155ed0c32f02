"""The GPUs of this machine, found without loading MLX."""

import os
import sys
from pathlib import Path


def kind() -> str:
    """Return what MLX computes with on this machine: "Metal", "CUDA" or "a CPU". Results of each have other last digits."""
    return ("Metal" if sys.platform == "darwin" else "CUDA") if gpus() else "a CPU"


def gpus() -> list[str]:
    """Return the GPUs that MLX can compute with, by the names that CUDA_VISIBLE_DEVICES has for them; a Mac has "0"."""
    if sys.platform == "darwin":
        return ["0"]
    if not any(True for folder in sys.path for _ in Path(folder).glob("mlx_cuda*.dist-info")):
        return []
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in visible.split(",") if name]
    return [str(index) for index, _ in enumerate(Path("/dev").glob("nvidia[0-9]*"))]
