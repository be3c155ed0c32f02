"""Find out whether MLX computes on a CPU, and prepare MLX and models for it."""

import ctypes
import sys
from types import SimpleNamespace

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx_lm.utils import dequantize_model

from cantica.core.errors import InputError, Problem
from cantica.engine.backend.patches import mlx

LLAMAS = {"mlx_lm.models.llama", "mlx_lm.models.qwen2", "mlx_lm.models.qwen3"}
CACHE = 8 << 30  # bytes of freed memory that MLX keeps; returning a page and requesting it again costs a page fault


def on_cpu() -> bool:
    """Return whether MLX computes on a CPU, and not with Metal or CUDA."""
    return mx.default_device() == mx.cpu


def on_compiled_blocks(model: nn.Module) -> bool:
    """Return whether the compiled blocks of `cpu` run a model: one with the layers of a Llama, on a CPU, in float32."""
    if not on_cpu() or sys.platform != "linux" or type(model).__module__ not in LLAMAS:
        return False
    plain = not getattr(model.layers[0].self_attn.rope, "traditional", False)
    slides = any(getattr(block, "use_sliding", False) for block in model.layers)
    return plain and not slides and model.model.norm.weight.dtype == mx.float32


def device_names() -> list[str | int | None]:
    """Return the names of MLX's default device, for hashes of results that another device may round in another way."""
    return [str(mx.default_device()), mx.device_info().get("device_name")]


def prepare() -> None:
    """Prepare MLX for the device. On a CPU, apply the patches of MLX, and import the compiled functions.

    All code that results depend on is loaded then: caches hash it. Raises InputError if OpenBLAS is missing.
    """
    mx.set_cache_limit(CACHE)
    if on_cpu():
        _require_openblas()
        mx.disable_compile()  # compiled kernels would depend on the machine's C++ compiler
        for patch in mlx.ON_CPU:
            patch()
        if sys.platform == "linux":
            import cantica.engine.backend.cpu.choices
            import cantica.engine.backend.cpu.decode
            import cantica.engine.backend.cpu.train  # noqa: F401


def _require_openblas() -> None:
    """Raise InputError if MLX on Linux uses its reference BLAS, which is far slower and gives other results."""
    if sys.platform == "linux" and not hasattr(ctypes.CDLL(None), "openblas_get_config"):
        raise InputError(Problem(sys.prefix, "", "MLX with its reference BLAS", "MLX with OpenBLAS", "run `make setup`"))


def to_float32(model: nn.Module) -> nn.Module:
    """Return the model, on a CPU with float32 weights, since products in 16 or 4 bits are slow there.

    A layer keeps the codes of its weights as `codes`, if they give exactly the same numbers.
    """
    if not on_cpu():
        return model
    from cantica.engine.backend.cpu.narrow import codes_of, fits

    quantized = {
        name: layer
        for name, layer in model.named_modules()
        if "scales" in layer and layer.mode == "affine" and layer.bits in (2, 4, 8)
    }
    codes = {name: codes_of(layer) for name, layer in quantized.items()}
    model = dequantize_model(model)
    model.set_dtype(mx.float32)
    layers = dict(model.named_modules())
    for name, own in codes.items():
        if fits(own, np.asarray(layers[name].weight)):
            layers[name].codes = SimpleNamespace(own=own)  # MLX would take a tuple for parameters
    return model
