"""Products with quantized weights, for few rows: their time is that of reading the weights, and a code is a byte.

A base model in 4 bits is computed with in float32. Here the same float32 numbers are made from its codes, a few rows at a time.
"""

from typing import NamedTuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from cantica.engine.backend.cpu.compiled import compiled
from cantica.engine.backend.cpu.rows import ZERO

ROWS = 32  # with more, OpenBLAS is as fast
WEIGHTS, TEXTS = 4, 3  # rows of weights and of x that are multiplied at a time: their sums fit in the registers


class Codes(NamedTuple):
    """Weights OI as codes_OI times scales plus biases, which have a column for each group of adjacent codes."""

    codes: np.ndarray
    scales: np.ndarray
    biases: np.ndarray


def none(inputs: int) -> Codes:
    """Return the codes of weights that have none."""
    return Codes(np.zeros((0, inputs), np.uint8), np.zeros((0, 1), np.float32), np.zeros((0, 1), np.float32))


def codes_of(layer: nn.Module) -> Codes:
    """Return the codes of a quantized layer of MLX, of 2, 4 or 8 bits."""
    packed, bits = np.asarray(layer.weight).view(np.uint32), layer.bits
    scales, biases = (np.asarray(x.astype(mx.float32)) for x in (layer.scales, layer.biases))
    codes = np.empty((len(packed), packed.shape[1] * 32 // bits), np.uint8)
    _unpack(packed, np.uint32(bits), codes)
    return Codes(codes, scales, biases)


@compiled
def _unpack(packed, bits, codes):
    """Set codes_OI to the numbers of `bits` bits, a divisor of 32, in packed_O(I bits / 32), the lowest bits first."""
    each, mask = np.uint32(32) // bits, (np.uint32(1) << bits) - np.uint32(1)
    for o in range(packed.shape[0]):
        for n in range(packed.shape[1]):
            for i in range(each):
                codes[o, n * each + i] = (packed[o, n] >> np.uint32(i * bits)) & mask


def fits(codes: Codes, weights: np.ndarray) -> bool:
    """Return whether the codes give exactly these weights."""
    row = np.empty(weights.shape[1], np.float32)
    return codes.codes.shape == weights.shape and bool(_all_equal(codes, weights, row))


@compiled
def _all_equal(codes, weights, row):
    for o in range(weights.shape[0]):
        _widen(codes, o, row)
        for i in range(row.shape[0]):
            if row[i] != weights[o, i]:
                return False
    return True


@compiled
def _widen(codes, o, out):
    """Set out_I to the weights of a row."""
    size = out.shape[0] // codes.scales.shape[1]
    for group in range(codes.scales.shape[1]):
        scale, bias = codes.scales[o, group], codes.biases[o, group]
        own, wide = codes.codes[o, group * size : (group + 1) * size], out[group * size : (group + 1) * size]
        for i in range(size):
            wide[i] = np.float32(own[i]) * scale + bias


@compiled
def multiply_few(x, codes, kept, out):
    """Set out_TO to kept * out + x_TI @ weights_OI.T. A row of it has the same bytes for any number of rows."""
    rows, size = x.shape
    wide = np.empty((WEIGHTS, size), np.float32)
    for first in range(0, codes.codes.shape[0], WEIGHTS):
        number = min(WEIGHTS, codes.codes.shape[0] - first)
        for o in range(number):
            _widen(codes, first + o, wide[o])
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
