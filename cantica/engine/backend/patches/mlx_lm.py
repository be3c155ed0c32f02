"""Every patch of mlx-lm, all of them for a CPU. Those in ON_CPU are applied when a model is loaded.

A patch is a function; its docstring gives the reason.
"""

import sys
from collections.abc import Iterator
from types import ModuleType

from mlx_lm.models import activations
from mlx_lm.tuner.lora import LoRALinear

from cantica.engine.backend.kernels.lora import lora_linear
from cantica.engine.backend.kernels.swiglu import swiglu as fast_swiglu
from cantica.engine.backend.memory import bounded

CHECKED = "0.32.2"  # the version that the patches were checked against


def lora() -> None:
    """mlx-lm's LoRA layer keeps the gradient's intermediate arrays until the step ends, and its dropout is slow on a CPU."""
    LoRALinear.__call__ = lora_linear  # type: ignore[method-assign]  # that is the patch


def swiglu() -> None:
    """MLX computes `exp` one element at a time. NumPy's vector instructions are ten times faster."""
    for module in _models():
        if hasattr(module, "swiglu"):
            module.swiglu = fast_swiglu  # type: ignore[attr-defined]  # a module may have any name


def block_boundary() -> None:
    """Until a step ends, MLX keeps all arrays that a gradient is computed from. A boundary at each block frees them earlier."""
    for module in _models():
        block = getattr(module, "TransformerBlock", None)
        if block is not None and not hasattr(block.__call__, "__wrapped__"):
            block.__call__ = bounded(block.__call__)


def _models() -> Iterator[ModuleType]:
    """Yield the loaded modules of models, and the one that they import SwiGLU from."""
    yield activations
    yield from [module for name, module in sys.modules.items() if name.startswith("mlx_lm.models.")]


ON_CPU = (lora, swiglu, block_boundary)
