"""Products with quantized weights, for few rows: their time is that of reading the weights, and a code is a byte.

A base model in 4 bits is computed with in float32. Here the same float32 numbers are made from its codes, a panel at a time.
"""

from collections.abc import Sequence
from typing import NamedTuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from cantica.engine.backend.cores import on_cores
from cantica.engine.backend.cpu.compiled import compiled
from cantica.engine.backend.cpu.tile import LANES, narrow_1, narrow_3, narrow_6, wide_1, wide_3, wide_6, widen

ROWS = 64  # with more, OpenBLAS is as fast


class Codes(NamedTuple):
    """Weights as codes times scales plus biases, in panels of LANES outputs: (panels, I, LANES).

    Scales and biases (panels, groups, LANES) are those of adjacent inputs. The last panel may have more outputs than the layer.
    """

    codes: np.ndarray
    scales: np.ndarray
    biases: np.ndarray


def none(inputs: int) -> Codes:
    """Return the codes of weights that have none."""
    return Codes(
        np.zeros((0, inputs, LANES), np.uint8), np.zeros((0, 1, LANES), np.float32), np.zeros((0, 1, LANES), np.float32)
    )


def weights_of(layers: Sequence[nn.Module]) -> list[tuple[mx.array, Codes]]:
    """Return (the weights OI in float32, their codes) of quantized layers of MLX, of 2, 4 or 8 bits.

    Each is rounded once, to float32. `mx.dequantize` rounds twice, and to 16 bits if scales and biases have 16.
    """
    found, work = [], []
    for layer in layers:
        packed, bits = np.asarray(layer.weight).view(np.uint32), layer.bits
        weights = mx.zeros((len(packed), packed.shape[1] * 32 // bits))
        scales, biases = (_panels(np.asarray(x.astype(mx.float32))) for x in (layer.scales, layer.biases))
        codes = Codes(np.empty((len(scales), weights.shape[1], LANES), np.uint8), scales, biases)
        found.append((weights, codes))
        work.append((packed, np.uint32(bits), codes, np.asarray(weights)))  # MLX and NumPy share the memory
    on_cores(lambda each: _unpack(*each), sorted(work, key=lambda each: -each[0].size))
    return found


def _panels(x: np.ndarray) -> np.ndarray:
    """Return x_OG as panels: (panels, G, LANES)."""
    whole = np.zeros((-(-len(x) // LANES) * LANES, x.shape[1]), np.float32)
    whole[: len(x)] = x
    return np.ascontiguousarray(whole.reshape(-1, LANES, x.shape[1]).swapaxes(1, 2))


@compiled
def _unpack(packed, bits, codes, weights):
    """Set the codes to the numbers of `bits` bits, a divisor of 32, in packed_O(I bits / 32), and weights_OI to theirs."""
    each, mask = np.uint32(32) // bits, (np.uint32(1) << bits) - np.uint32(1)
    wide = np.empty(codes.codes.shape[1:], np.float32)
    for n in range(codes.codes.shape[0]):
        panel, outputs = codes.codes[n], min(LANES, packed.shape[0] - n * LANES)
        panel[:, outputs:] = 0
        for lane in range(outputs):
            for place in range(packed.shape[1]):
                for i in range(each):
                    panel[place * each + i, lane] = (packed[n * LANES + lane, place] >> np.uint32(i * bits)) & mask
        _widen(codes, n, wide)
        for lane in range(outputs):
            for i in range(wide.shape[0]):
                weights[n * LANES + lane, i] = wide[i, lane]


@compiled
def _widen(codes, panel, wide):
    """Set wide_I(LANES) to the weights of a panel."""
    own, scales, biases = codes.codes[panel], codes.scales[panel], codes.biases[panel]
    groups = len(scales)
    widen(own.ctypes.data, groups, len(own) // groups, scales.ctypes.data, biases.ctypes.data, wide.ctypes.data)


@compiled
def multiply_few(x, codes, kept, out):
    """Set out_TO to kept * out + x_TI @ weights_OI.T. A row of it has the same bytes for any number of rows."""
    rows, inputs = x.shape
    sums = np.empty((6, LANES), np.float32)
    few = rows <= len(sums)  # otherwise the codes are widened once for all rows
    wide = np.empty((0 if few else inputs, LANES), np.float32)
    for n in range(codes.codes.shape[0]):
        if not few:
            _widen(codes, n, wide)
        for row in range(0, rows, len(sums)):
            number = min(rows - row, len(sums))
            if few:
                _multiply_narrow(x[row : row + number], codes, n, sums)
            else:
                _multiply_wide(x[row : row + number], wide, sums)
            for t in range(number):
                for o in range(min(LANES, out.shape[1] - n * LANES)):
                    out[row + t, n * LANES + o] = kept * out[row + t, n * LANES + o] + sums[t, o]


@compiled
def _multiply_narrow(x, codes, panel, sums):
    """Set the first rows of sums to the products of at most 6 rows x_TI with a panel of codes."""
    own, scales, biases, last = codes.codes[panel], codes.scales[panel], codes.biases[panel], len(x) - 1
    codes_, groups, size = own.ctypes.data, len(scales), len(own) // len(scales)
    start, scale, bias, out = x.ctypes.data, scales.ctypes.data, biases.ctypes.data, sums.ctypes.data
    if last == 0:
        narrow_1(start, x.strides[0], last, codes_, groups, size, scale, bias, out)
    elif last < 3:
        narrow_3(start, x.strides[0], last, codes_, groups, size, scale, bias, out)
    else:
        narrow_6(start, x.strides[0], last, codes_, groups, size, scale, bias, out)


@compiled
def _multiply_wide(x, wide, sums):
    """Do the same with a panel of weights."""
    last, start, weights, out = len(x) - 1, x.ctypes.data, wide.ctypes.data, sums.ctypes.data
    if last == 0:
        wide_1(start, x.strides[0], last, weights, 1, len(wide), 0, 0, out)
    elif last < 3:
        wide_3(start, x.strides[0], last, weights, 1, len(wide), 0, 0, out)
    else:
        wide_6(start, x.strides[0], last, weights, 1, len(wide), 0, 0, out)
