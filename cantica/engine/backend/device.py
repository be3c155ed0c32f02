"""Find out whether MLX computes on a CPU, and prepare MLX and models for it."""

import ctypes
import sys
from types import SimpleNamespace

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.utils import dequantize_model

from cantica.core.errors import InputError, Problem

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
    """Prepare MLX for the device. On a CPU, import the compiled functions.

    All code that results depend on is loaded then: caches hash it. Raises InputError if OpenBLAS is missing.
    """
    mx.set_cache_limit(CACHE)
    if on_cpu():
        _require_openblas()
        mx.disable_compile()  # compiled kernels would depend on the machine's C++ compiler
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

    Those of an affine quantization are made from its codes, on all cores. A layer keeps them as `codes`.
    """
    if not on_cpu():
        return model
    quantized = {
        name: layer
        for name, layer in model.named_modules()
        if sys.platform == "linux" and "scales" in layer and layer.mode == "affine" and layer.bits in (2, 4, 8)
    }
    model = dequantize_model(model)  # which is computed later, and so not at all for the layers here
    model.set_dtype(mx.float32)
    if quantized:
        from cantica.engine.backend.cpu.narrow import weights_of

        layers = dict(model.named_modules())
        for name, (weights, codes) in zip(quantized, weights_of(list(quantized.values())), strict=True):
            layers[name].weight = weights
            layers[name].codes = SimpleNamespace(own=codes)  # MLX would take a tuple for parameters
    return model
