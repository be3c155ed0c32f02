"""A linear layer with LoRA, and its gradient."""

from typing import NamedTuple

import numpy as np

from cantica.engine.backend.cpu.compiled import compiled, multiply
from cantica.engine.backend.cpu.narrow import ROWS as NARROW
from cantica.engine.backend.cpu.narrow import Codes, multiply_few
from cantica.engine.backend.cpu.rows import add_kept, drop


class Linear(NamedTuple):
    """A frozen weight_OI and bias_O (empty for none), and LoRA's a_IR and b_RO (of rank 0 for none) with its scale.

    codes: of the weight, if the base model is quantized.
    """

    weight: np.ndarray
    codes: Codes
    bias: np.ndarray
    a: np.ndarray
    b: np.ndarray
    scale: np.float32


class Dropout(NamedTuple):
    """Of one layer for one group: the probability to keep an element, and two random numbers for the choice."""

    keep: np.float32
    seed: np.ndarray


@compiled
def linear(x, layer, dropout, low, scratch, out, kept):
    """Set out_TO to kept * out + layer(x_TI), and low_TR to scale * dropout(x) @ a / keep."""
    if x.shape[0] <= NARROW and layer.codes.codes.shape[0]:
        multiply_few(x, layer.codes, kept, out)
    else:
        multiply(x, layer.weight, out, False, True, 1, kept)
    if layer.bias.shape[0]:
        for t in range(out.shape[0]):
            for i in range(out.shape[1]):
                out[t, i] += layer.bias[i]
    if layer.a.shape[1]:
        if dropout.keep < 1:
            drop(x, dropout.seed, dropout.keep, scratch)
            multiply(scratch, layer.a, low, False, False, layer.scale / dropout.keep, 0)
        else:
            multiply(x, layer.a, low, False, False, layer.scale, 0)
        multiply(low, layer.b, out, False, False, 1, 1)


@compiled
def gradient_of_linear(d_out, x, layer, dropout, low, d_low, scratch, d_x, kept, d_a, d_b):
    """Set d_x to kept * d_x + the gradient, and add those of a and b. x, low: of `linear`."""
    multiply(d_out, layer.weight, d_x, False, False, 1, kept)
    if layer.a.shape[1]:
        multiply(low, d_out, d_b, True, False, 1, 1)
        multiply(d_out, layer.b, d_low, False, True, layer.scale / dropout.keep, 0)
        if dropout.keep < 1:
            drop(x, dropout.seed, dropout.keep, scratch)
            multiply(scratch, d_low, d_a, True, False, 1, 1)
            multiply(d_low, layer.a, scratch, False, True, 1, 0)
            add_kept(scratch, dropout.seed, dropout.keep, d_x)
        else:
            multiply(x, d_low, d_a, True, False, 1, 1)
            multiply(d_low, layer.a, d_x, False, True, 1, 1)
