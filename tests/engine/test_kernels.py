"""The CPU kernels compared with NumPy in float64 and with the stock MLX functions: values and gradients."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cantica.engine.backend.kernels import attention as attention_kernel
from cantica.engine.backend.kernels import logsumexp as logsumexp_kernel
from cantica.engine.backend.kernels.attention import attention
from cantica.engine.backend.kernels.head import head_losses
from cantica.engine.backend.kernels.logsumexp import logsumexp
from cantica.engine.backend.kernels.swiglu import swiglu

# (batch, heads, groups, length, d): below, at, above and far beyond the block of 128 queries; heads that share keys.
SHAPES = [(1, 1, 1, 1, 4), (2, 4, 2, 7, 8), (1, 2, 2, 128, 8), (1, 6, 2, 129, 4), (1, 3, 1, 300, 8)]
FINITE = {"allow_nan": False, "allow_infinity": False, "width": 32}


def normal(shape, seed: int, size: float = 1.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=shape) * size).astype(np.float32)


def close(found: mx.array, expected: np.ndarray, tolerance: float = 1e-5) -> None:
    """Equal to a part of the largest value."""
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    np.testing.assert_allclose(np.array(found), expected, rtol=0, atol=tolerance * max(1e-30, np.abs(expected).max()))


def pulled_back(function, primals, cotangent):
    return mx.vjp(function, [mx.array(p) for p in primals], [mx.array(cotangent)])[1]


def logistic(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-100, 100, **FINITE)] * 3), min_size=1, max_size=40))
def test_swiglu_and_its_gradients(rows):
    gate, x, cotangent = np.array(rows, np.float32).T
    wide, times, weight = gate.astype(np.float64), x.astype(np.float64), cotangent.astype(np.float64)
    s = logistic(wide)
    found = swiglu(mx.array(gate), mx.array(x))
    np.testing.assert_allclose(np.array(found), wide * s * times, rtol=1e-5, atol=1e-30)
    ours = pulled_back(swiglu, [gate, x], cotangent)
    stock = pulled_back(lambda g, y: nn.silu(g) * y, [gate, x], cotangent)
    expected = weight * times * (s + wide * s * (1 - s)), weight * wide * s
    for one, other, true in zip(ours, stock, expected, strict=True):
        # Where s + gate s (1 - s) nears its zero, its two terms cancel: what is left of them is measured against them.
        np.testing.assert_allclose(np.array(one), true, rtol=1e-5, atol=1e-6 * max(1e-20, np.abs(weight * times).max()))
        np.testing.assert_allclose(np.array(one), np.array(other), rtol=1e-4, atol=2e-6 * np.abs(true).max() + 1e-24)


def losses_of(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    wide = logits.astype(np.float64)
    top = wide.max(axis=-1)
    return np.log(np.exp(wide - top[:, None]).sum(axis=-1)) + top - wide[np.arange(len(wide)), targets]


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 150])
@pytest.mark.parametrize("size", [1.0, 100.0])
def test_losses_of_a_frozen_head_and_their_gradient(rows, size):
    hidden, head, targets = normal((rows, 5), 0), normal((37, 5), 1, size), np.random.default_rng(1).integers(0, 37, rows)
    cotangent = normal((rows,), 2)
    logits = hidden.astype(np.float64) @ head.astype(np.float64).T

    def ours(x, trains=True):
        return head_losses(x, mx.array(head), mx.array(targets), trains)

    def stock(x):
        return nn.losses.cross_entropy(x @ mx.array(head).T, mx.array(targets))

    close(ours(mx.array(hidden)), losses_of(logits, targets))
    assert mx.array_equal(ours(mx.array(hidden)), ours(mx.array(hidden), trains=False))
    close(stock(mx.array(hidden)), np.array(ours(mx.array(hidden))))
    gradient = ((softmax(logits) - np.eye(37)[targets]) * cotangent[:, None]) @ head.astype(np.float64)
    close(pulled_back(ours, [hidden], cotangent)[0], gradient, 3e-5)
    close(pulled_back(stock, [hidden], cotangent)[0], np.array(pulled_back(ours, [hidden], cotangent)[0]), 3e-5)


def losses_of_logits(logits, targets) -> mx.array:
    """With a head that is the identity."""
    return head_losses(mx.array(logits), mx.eye(3), mx.array(targets), trains=False)


def test_the_loss_of_a_certain_and_of_an_impossible_word():
    assert losses_of_logits([[100.0, -100.0, -100.0]] * 2, [0, 1]).tolist() == [0.0, 200.0]


def test_a_loss_does_not_hide_a_nan():
    assert mx.isnan(losses_of_logits([[0.0, float("nan"), 1.0], [0.0, 1.0, 2.0]], [0, 2])).tolist() == [True, False]


@pytest.mark.parametrize("keepdims", [True, False])
def test_logsumexp_is_that_of_float64(keepdims):
    rows = normal((5, 3000), 0, 30)
    wide = rows.astype(np.float64)
    top = wide.max(axis=-1, keepdims=True)
    expected = np.log(np.exp(wide - top).sum(axis=-1, keepdims=True)) + top
    close(logsumexp(mx.array(rows), axis=-1, keepdims=keepdims), expected if keepdims else expected[:, 0], 1e-6)
    whole = mx.array(rows).reshape(5, 2, 1500)
    close(logsumexp(whole, axis=-1), np.array(logsumexp_kernel.stock(whole, axis=-1)), 1e-6)


def test_the_gradient_of_logsumexp():
    rows, cotangent = normal((5, 300), 0, 3), normal((5,), 1)
    found = pulled_back(lambda x: logsumexp(x, axis=-1), [rows], cotangent)[0]
    close(found, softmax(rows.astype(np.float64)) * cotangent[:, None], 1e-6)


def reference(q, k, v, cotangent):
    """Causal attention and its three gradients in float64, head by head."""
    q, k, v, cotangent = (x.astype(np.float64) for x in (q, k, v, cotangent))
    share = q.shape[1] // k.shape[1]
    out, dq, dk, dv = np.zeros_like(q), np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    hidden = np.triu(np.full((q.shape[2], q.shape[2]), -np.inf), 1)
    for b in range(q.shape[0]):
        for h in range(q.shape[1]):
            g = h // share
            weights = softmax(q[b, h] @ k[b, g].T + hidden)
            out[b, h] = weights @ v[b, g]
            d_weights = cotangent[b, h] @ v[b, g].T
            d_scores = weights * (d_weights - (d_weights * weights).sum(axis=-1, keepdims=True))
            dq[b, h] = d_scores @ k[b, g]
            dk[b, g] += d_scores.T @ q[b, h]
            dv[b, g] += weights.T @ cotangent[b, h]
    return out, (dq, dk, dv)


def causal(q, k, v):
    return attention(q, k, v, scale=1.0, mask="causal")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1.0, 6.0])
def test_causal_attention_and_its_gradients(shape, size):
    batch, heads, groups, length, d = shape
    q, cotangent = normal((batch, heads, length, d), 0, size), normal((batch, heads, length, d), 3)
    k, v = normal((batch, groups, length, d), 1), normal((batch, groups, length, d), 2)
    out, gradients = reference(q, k, v, cotangent)
    close(causal(*map(mx.array, (q, k, v))), out)
    for found, expected in zip(pulled_back(causal, (q, k, v), cotangent), gradients, strict=True):
        # A single query has no scores to move: its gradient is nothing but rounding.
        close(found, expected, 1e-5) if length > 1 else np.testing.assert_allclose(np.array(found), expected, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_attention_is_the_stock_one(shape):
    batch, heads, groups, length, d = shape
    q, k, v = normal((batch, heads, length, d), 0), normal((batch, groups, length, d), 1), normal((batch, groups, length, d), 2)
    cotangent = normal((batch, heads, length, d), 3)

    def ours(q, k, v):
        return attention(q, k, v, scale=d**-0.5, mask="causal")

    def stock(q, k, v):
        return attention_kernel.stock(q, k, v, scale=d**-0.5, mask="causal")

    close(ours(*map(mx.array, (q, k, v))), np.array(stock(*map(mx.array, (q, k, v)))))
    theirs = pulled_back(stock, (q, k, v), cotangent)
    for found, expected in zip(pulled_back(ours, (q, k, v), cotangent), theirs, strict=True):
        np.testing.assert_allclose(np.array(found), np.array(expected), atol=1e-5 * max(1, mx.abs(expected).max().item()))


@settings(max_examples=15, deadline=None)
@given(length=st.integers(2, 260), at=st.integers(1, 259), seed=st.integers(0, 99))
def test_no_query_sees_a_later_key(length, at, seed):
    at = min(at, length - 1)
    q, k, v = (mx.array(normal((1, 2, length, 4), seed + n)) for n in range(3))
    before = causal(q, k, v)
    k[:, :, at:] = 5.0
    v[:, :, at:] = -7.0
    after = causal(q, k, v)
    assert mx.array_equal(before[:, :, :at], after[:, :, :at])
    assert not mx.array_equal(before[:, :, at:], after[:, :, at:])


@pytest.mark.parametrize("size", [100.0, 1e4])
def test_attention_with_scores_beyond_the_range_of_exp_is_finite_and_right(size):
    q, k, v = normal((1, 2, 140, 8), 0, size), normal((1, 2, 140, 8), 1), normal((1, 2, 140, 8), 2)
    out, _ = reference(q, k, v, v)
    found = causal(*map(mx.array, (q, k, v)))
    # A score of 1e5 has its last bit at 1e-2 in float32, so its weights are no better than that.
    close(found, out, 1e-4 if size == 100.0 else 5e-2)
    assert all(mx.isfinite(g).all().item() for g in pulled_back(causal, (q, k, v), v))


def test_attention_without_a_mask_sees_every_key():
    q, k, v = (mx.array(normal((1, 2, 9, 4), n)) for n in range(3))
    weights = softmax(np.array(q, np.float64) @ np.array(k, np.float64).swapaxes(-1, -2) * 0.5)
    close(attention(q, k, v, scale=0.5), weights @ np.array(v, np.float64))


def test_attention_with_a_mask_of_its_own_obeys_it():
    q, k, v = (mx.array(normal((1, 2, 9, 4), n)) for n in range(3))
    window = np.tril(np.ones((9, 9), bool)) & ~np.tril(np.ones((9, 9), bool), -3)
    scores = np.array(q, np.float64) @ np.array(k, np.float64).swapaxes(-1, -2) * 0.5
    expected = softmax(np.where(window, scores, -np.inf)) @ np.array(v, np.float64)
    close(attention(q, k, v, scale=0.5, mask=mx.array(window)), expected)


def test_attention_of_a_text_that_goes_on_sees_the_keys_before_it():
    q, k, v = (mx.array(normal((1, 2, 9, 4), n)) for n in range(3))
    whole = attention(q, k, v, scale=0.5, mask="causal")
    rest = attention(q[:, :, 6:], k, v, scale=0.5, mask="causal")
    close(rest, np.array(whole[:, :, 6:]))


def test_installed_kernels_are_those_that_a_model_calls(tiny_model):
    from mlx_lm.models import activations, llama

    tiny_model()
    if mx.default_device() == mx.cpu:
        assert mx.fast.scaled_dot_product_attention is attention
        assert activations.swiglu is llama.swiglu is swiglu
