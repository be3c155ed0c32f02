"""Work on rows: norms, rotations of heads, SwiGLU, and dropout, with their gradients."""

import numpy as np

from cantica.engine.backend.cpu.compiled import compiled, exp, inlined
from cantica.engine.backend.cpu.sums import dot, dot_3

ZERO, ONE = np.float32(0), np.float32(1)


@compiled
def normalize(x, weight, eps, out, inverse):
    """Set out_TD to the RMS norm of x_TD, and inverse_T to the inverse of each row's root mean square."""
    for t in range(x.shape[0]):
        inverse[t] = ONE / np.sqrt(dot(x[t], x[t]) / np.float32(x.shape[1]) + eps)
        for i in range(x.shape[1]):
            out[t, i] = x[t, i] * inverse[t] * weight[i]


@compiled
def add_gradient_of_norm(d_out, x, weight, inverse, d_x):
    """Add the gradient of `normalize` to d_x."""
    for t in range(x.shape[0]):
        r = inverse[t]
        along = dot_3(d_out[t], weight, x[t]) * r * r * r / np.float32(x.shape[1])
        for i in range(x.shape[1]):
            d_x[t, i] += d_out[t, i] * weight[i] * r - x[t, i] * along


@compiled
def rotate(x, size, cos, sin, places, sign):
    """Rotate the heads in x by the angle of each row's place in its text, in place. size: of a head; sign: -1 turns back."""
    half = size // 2
    for t in range(x.shape[0]):
        c, s = cos[places[t]], sin[places[t]]
        for first in range(0, x.shape[1], size):
            for i in range(half):
                one, other = x[t, first + i], x[t, first + half + i]
                x[t, first + i] = one * c[i] - sign * other * s[i]
                x[t, first + half + i] = other * c[i] + sign * one * s[i]


@compiled
def swiglu(gate, up, out):
    """Set out_TF to silu(gate) * up."""
    for t in range(out.shape[0]):
        for i in range(out.shape[1]):
            g = gate[t, i]
            out[t, i] = g / (ONE + exp(-g)) * up[t, i]


@compiled
def gradient_of_swiglu(gate, up, d_out, d_gate, d_up):
    """Set d_gate and d_up."""
    for t in range(d_out.shape[0]):
        for i in range(d_out.shape[1]):
            g, d = gate[t, i], d_out[t, i]
            s = ONE / (ONE + exp(-g))
            d_up[t, i] = d * g * s
            d_gate[t, i] = d * up[t, i] * s * (ONE + g * (ONE - s))


@inlined
def _kept(place, seed, threshold):
    """Return whether dropout keeps an element: a hash of its place and two seeds (Wellons' lowbias32) is below a threshold."""
    x = np.uint32(np.uint32(place) + seed[0])  # numba computes with 64 bits unless it is told the type each time
    x = np.uint32((x ^ np.uint32(x >> np.uint32(16))) * np.uint32(0x7FEB352D))
    x = np.uint32(x ^ seed[1])
    x = np.uint32((x ^ np.uint32(x >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(x ^ np.uint32(x >> np.uint32(16))) < threshold


@compiled
def drop(x, seed, keep, out):
    """Set out to x where dropout keeps an element, with probability `keep`, and to 0 elsewhere. seed: two 32-bit numbers."""
    threshold = np.uint32(keep * 4294967295.0)
    for t in range(x.shape[0]):
        for i in range(x.shape[1]):
            out[t, i] = x[t, i] if _kept(t * x.shape[1] + i, seed, threshold) else ZERO


@compiled
def add_kept(x, seed, keep, out):
    """Add x to out where `drop` with the same seed keeps an element."""
    threshold = np.uint32(keep * 4294967295.0)
    for t in range(x.shape[0]):
        for i in range(x.shape[1]):
            out[t, i] += x[t, i] if _kept(t * x.shape[1] + i, seed, threshold) else ZERO
