"""Products with weights of 16 bits, for few rows: their time is that of reading the weights.

A base model whose weights are numbers of bfloat16, as most are, loses nothing: the other 16 bits of its float32 weights are 0.
"""

import numpy as np

from cantica.engine.backend.cpu.compiled import compiled, from_bits
from cantica.engine.backend.cpu.rows import ZERO

ROWS = 32  # with more, OpenBLAS is as fast
WEIGHTS, TEXTS = 4, 3  # rows of weights and of x that are multiplied at a time: their sums fit in the registers


def narrowed(weights: np.ndarray) -> np.ndarray:
    """Return the upper 16 bits of float32 weights OI; an array without rows if the lower ones are not all 0."""
    bits = weights.view(np.uint32)
    exact = not (bits & 0xFFFF).any()
    return (bits >> 16).astype(np.uint16) if exact else np.zeros((0, weights.shape[1]), np.uint16)


@compiled
def multiply_few(x, weights, kept, out):
    """Set out_TO to kept * out + x_TI @ weights_OI.T. A row of it has the same bytes for any number of rows."""
    rows, size = x.shape
    wide = np.empty((WEIGHTS, size), np.float32)
    for first in range(0, weights.shape[0], WEIGHTS):
        number = min(WEIGHTS, weights.shape[0] - first)
        for o in range(number):
            for i in range(size):
                wide[o, i] = from_bits(np.int32(weights[first + o, i]) << np.int32(16))
        for row in range(0, rows, TEXTS):
            sums = _sums(x[row], x[min(row + 1, rows - 1)], x[min(row + 2, rows - 1)], wide[0], wide[1], wide[2], wide[3])
            for t in range(min(TEXTS, rows - row)):
                for o in range(number):
                    out[row + t, first + o] = kept * out[row + t, first + o] + sums[t][o]


@compiled
def _sums(x, y, z, a, b, c, d):
    """Return the products of each of three rows with each of four."""
    xa = xb = xc = xd = ya = yb = yc = yd = za = zb = zc = zd = ZERO
    for i in range(x.shape[0]):
        one, two, three = x[i], y[i], z[i]
        w = a[i]
        xa, ya, za = xa + one * w, ya + two * w, za + three * w
        w = b[i]
        xb, yb, zb = xb + one * w, yb + two * w, zb + three * w
        w = c[i]
        xc, yc, zc = xc + one * w, yc + two * w, zc + three * w
        w = d[i]
        xd, yd, zd = xd + one * w, yd + two * w, zd + three * w
    return (xa, xb, xc, xd), (ya, yb, yc, yd), (za, zb, zc, zd)
