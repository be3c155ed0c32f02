"""Products with the codes of quantized weights: the numbers, any number of rows, and the weights that are made of codes."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cantica.engine.backend.cpu.narrow import ROWS, multiply_few, weights_of


def quantized(outputs: int, inputs: int, group: int, bits: int, dtype: mx.Dtype = mx.float32) -> nn.Module:
    mx.random.seed(outputs + inputs)
    layer = nn.Linear(inputs, outputs, bias=False)
    layer.set_dtype(dtype)
    return nn.QuantizedLinear.from_linear(layer, group, bits)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_weights_are_scales_times_codes_plus_biases_rounded_once(bits, dtype):
    layer = quantized(50, 128, 32, bits, dtype)
    ((weights, codes),) = weights_of([layer])
    packed, each = np.asarray(layer.weight), 32 // bits
    found = ((packed[:, :, None] >> (bits * np.arange(each, dtype=np.uint32))) & (2**bits - 1)).reshape(50, 128)
    scales, biases = (np.repeat(np.array(x.astype(mx.float32)), 32, 1).astype(np.float64) for x in (layer.scales, layer.biases))
    assert np.array_equal(np.asarray(weights), (found * scales + biases).astype(np.float32))
    assert np.array_equal(codes.codes.swapaxes(1, 2).reshape(-1, 128)[:50], found)
    if dtype != mx.float32:  # a product of 8 and 11 bits is exact, and so rounding twice makes no difference
        theirs = mx.dequantize(layer.weight, *(x.astype(mx.float32) for x in (layer.scales, layer.biases)), 32, bits)
        assert np.array_equal(np.asarray(weights), np.asarray(theirs))


@settings(deadline=None)
@given(st.integers(1, 70), st.integers(1, 3), st.sampled_from([0, 1]), st.integers(1, ROWS))
def test_products_are_those_of_the_weights(outputs, groups, kept, rows):
    ((weights, codes),) = weights_of([quantized(outputs, 64 * groups, 64, 4)])
    rng = np.random.default_rng(rows)
    x, before = (rng.standard_normal((rows, n), np.float32) for n in (64 * groups, outputs))
    out = before.copy()
    multiply_few(x, codes, np.float32(kept), out)
    exact = kept * before + x.astype(np.float64) @ np.asarray(weights).T
    assert np.abs(out - exact).max() < 1e-5


def test_a_row_has_the_same_bytes_for_any_number_of_rows():
    ((_, codes),) = weights_of([quantized(40, 192, 64, 4)])
    x = np.random.default_rng(1).standard_normal((ROWS, 192), np.float32)
    out = np.zeros((ROWS, 40), np.float32)
    multiply_few(x, codes, np.float32(0), out)
    for first, rows in ((0, 1), (7, 2), (7, 4), (7, 6), (3, 8), (0, 40)):
        some = np.zeros((rows, 40), np.float32)
        multiply_few(np.ascontiguousarray(x[first : first + rows]), codes, np.float32(0), some)
        assert np.array_equal(some, out[first : first + rows])
