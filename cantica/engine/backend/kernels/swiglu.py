"""SwiGLU on a CPU, with its exact gradient."""

import mlx.core as mx
import numpy as np

from cantica.engine.backend.kernels.rows import on_cores, views, writable


def _one_plus_exp_of_minus(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # dividing by infinity gives the right limit, 0
        powers = np.negative(x)
        np.exp(powers, out=powers)
        powers += 1
        return powers


@mx.custom_function
def swiglu(gate: mx.array, x: mx.array) -> mx.array:
    """Return silu(gate) * x; both have the same shape."""
    product = writable(gate * x)
    out, gates = views(product, gate)

    def work(rows: slice) -> None:
        out[rows] /= _one_plus_exp_of_minus(gates[rows])

    on_cores(work, *out.shape)
    return product


@swiglu.vjp
def _swiglu_vjp(primals: tuple, cotangent: mx.array, output: mx.array) -> tuple[mx.array, mx.array]:
    gate, x = primals
    to_gate, to_x = writable(cotangent * x), writable(cotangent * gate)
    gates, d_gate, d_x = views(gate, to_gate, to_x)

    def work(rows: slice) -> None:
        s = 1 / _one_plus_exp_of_minus(gates[rows])
        d_x[rows] *= s
        slope = 1 - s
        slope *= gates[rows]
        slope += 1
        slope *= s
        d_gate[rows] *= slope

    on_cores(work, *gates.shape)
    return to_gate, to_x
