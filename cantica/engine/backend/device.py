"""Whether MLX computes on a CPU, and how a model is prepared for that."""

import ctypes
import sys

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.utils import dequantize_model

from cantica.core.errors import InputError, Problem
from cantica.engine.backend.patches import mlx, mlx_lm

CACHE = 8 << 30  # bytes of freed memory that MLX keeps; a page that it returns and requests again costs a fault


def on_cpu() -> bool:
    """Whether MLX computes on a CPU, and not with Metal or CUDA."""
    return mx.default_device() == mx.cpu


def prepare() -> None:
    """Set MLX up for the device: on a CPU with the patches of MLX and mlx-lm. Raises InputError where OpenBLAS is missing."""
    mx.set_cache_limit(CACHE)
    if on_cpu():
        _require_openblas()
        mx.disable_compile()  # compiled kernels would depend on the machine's C++ compiler
        for patch in (*mlx.ON_CPU, *mlx_lm.ON_CPU):
            patch()


def _require_openblas() -> None:
    """Raise InputError on a Linux CPU where MLX computes with its reference BLAS: far slower, with other results."""
    if sys.platform == "linux" and not hasattr(ctypes.CDLL(None), "openblas_get_config"):
        raise InputError(Problem(sys.prefix, "", "MLX with its reference BLAS", "MLX with OpenBLAS", "run `make setup`"))


def to_float32(model: nn.Module) -> nn.Module:
    """On a CPU, where products of 16 and 4 bits are slow, the model with float32 weights; elsewhere the model as it is."""
    if on_cpu():
        model = dequantize_model(model)
        model.set_dtype(mx.float32)
    return model
