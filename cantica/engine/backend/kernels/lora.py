"""A linear layer with LoRA on a CPU: fewer arrays in memory, and a faster dropout."""

from typing import cast

import mlx.core as mx
import numpy as np
from mlx_lm.tuner.lora import LoRALinear

from cantica.engine.backend.kernels.rows import on_cores, views
from cantica.engine.backend.memory import untraced


def lora_linear(self: LoRALinear, x: mx.array) -> mx.array:
    """Replace `mlx_lm.tuner.lora.LoRALinear.__call__`: return linear(x) + scale * dropout(x) @ A @ B.

    A layer with frozen A and B, below one that trains, needs no gradients of them, and has no dropout.
    """
    if not self.training or self._no_grad:
        return mx.addmm(self.linear(x), x @ self.lora_a, self.lora_b, alpha=self.scale)
    return self.linear(x) + _low_rank(x, self.lora_a, self.lora_b, self.scale, self.dropout._p_1)


def _low_rank(x: mx.array, a: mx.array, b: mx.array, scale: float, keep_prob: float) -> mx.array:
    """Return scale * dropout(x) @ a @ b, where each element of x is kept with probability keep_prob.

    The gradients of a and b are computed as soon as possible, so that the arrays they depend on can be freed.
    """
    kept = _dropout_mask(x.shape, keep_prob) if keep_prob < 1 else None
    scale = scale / keep_prob

    @mx.custom_function
    def path(x: mx.array, a: mx.array, b: mx.array) -> mx.array:
        return (_where(x, kept) @ a) @ b * scale

    @path.vjp
    def _(primals: tuple, cotangent: mx.array, output: mx.array) -> tuple[mx.array, mx.array, mx.array]:
        x, a, b = primals
        rows, to_out = _where(x, kept).reshape(-1, x.shape[-1]), cotangent.reshape(-1, cotangent.shape[-1]) * scale
        to_low = to_out @ b.T
        return _where((to_low @ a.T).reshape(x.shape), kept), untraced(rows.T @ to_low), untraced((rows @ a).T @ to_out)

    return cast(mx.array, path(x, a, b))


def _dropout_mask(shape: tuple[int, ...], keep_prob: float) -> np.ndarray:
    """Return a mask of booleans, each True with probability keep_prob.

    It is made by NumPy's generator, seeded from MLX's, because MLX's own is far slower.
    """
    seed = cast(list[int], mx.random.randint(0, 1 << 31, (4,)).tolist())
    rng = np.random.Generator(np.random.SFC64(seed))
    return rng.integers(0, 1 << 16, shape, dtype=np.uint16) < round(keep_prob * (1 << 16))


def _where(x: mx.array, kept: np.ndarray | None) -> mx.array:
    """Return x, with 0 where the mask is False."""
    if kept is None:
        return x
    (numbers,) = views(x)
    mask, product = kept.reshape(numbers.shape), np.empty_like(numbers)

    def work(rows: slice) -> None:
        np.multiply(numbers[rows], mask[rows], out=product[rows])

    on_cores(work, *numbers.shape)
    return mx.array(product.reshape(x.shape))
