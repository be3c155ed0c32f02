"""SOAP: against a reading of the paper in NumPy, against Adam on a problem that it is made for, and compiled."""

import shutil

import mlx.core as mx
import mlx.optimizers as optimizers
import numpy as np
import pytest

from cantica.engine.backend.device import on_cpu
from cantica.training.soap import SOAP

RATE, DECAY, EPS, BETA, FREQUENCY = 0.05, 0.01, 1e-8, 0.9, 3


def by_numpy(weights: np.ndarray, gradients: list[np.ndarray], rows: bool, columns: bool) -> np.ndarray:
    """Algorithm 3 of the paper in double precision, started by the first gradient, with these sides preconditioned.

    After a power iteration, the vectors are sorted by their eigenvalues, the largest first, and V with them.
    """
    first, *others = gradients
    left, right = (1 - BETA) * first @ first.T, (1 - BETA) * first.T @ first
    # eigh has the smallest eigenvalue first.
    q_left = np.linalg.eigh(left)[1][:, ::-1] if rows else np.eye(len(left))
    q_right = np.linalg.eigh(right)[1][:, ::-1] if columns else np.eye(len(right))
    m, v = np.zeros_like(weights), np.zeros_like(weights)
    for t, gradient in enumerate(others, 1):
        m = BETA * m + (1 - BETA) * gradient
        v = BETA * v + (1 - BETA) * (q_left.T @ gradient @ q_right) ** 2
        m_hat, v_hat = m / (1 - BETA**t), v / (1 - BETA**t)
        step = q_left @ ((q_left.T @ m_hat @ q_right) / (np.sqrt(v_hat) + EPS)) @ q_right.T
        weights = weights - RATE * (step + DECAY * weights)
        left = BETA * left + (1 - BETA) * gradient @ gradient.T
        right = BETA * right + (1 - BETA) * gradient.T @ gradient
        if t % FREQUENCY == 0 and rows:
            order = np.argsort(-np.diag(q_left.T @ left @ q_left))
            q_left, v = np.linalg.qr((left @ q_left)[:, order])[0], v[order]
        if t % FREQUENCY == 0 and columns:
            order = np.argsort(-np.diag(q_right.T @ right @ q_right))
            q_right, v = np.linalg.qr((right @ q_right)[:, order])[0], v[:, order]
    return weights


@pytest.mark.parametrize(
    "shape, rows, columns", [((6, 6), True, True), ((4, 9), True, False), ((9, 4), False, True), ((9, 9), False, False)]
)
def test_it_is_the_algorithm_of_the_paper(shape, rows, columns):
    rng = np.random.default_rng(1)
    weights = rng.normal(size=shape)
    # Gradients whose rows and columns are correlated and of different lengths.
    rotation = rng.normal(size=(shape[0], shape[0]))
    gradients = [rotation @ rng.normal(size=shape) * np.arange(1, shape[1] + 1) for _ in range(11)]
    soap = SOAP(RATE, (BETA, BETA), EPS, DECAY, FREQUENCY, max_precond_dim=6)
    parameters = {"w": mx.array(weights, mx.float32)}
    for gradient in gradients:
        parameters = soap.apply_gradients({"w": mx.array(gradient, mx.float32)}, parameters)
    np.testing.assert_allclose(parameters["w"], by_numpy(weights, gradients, rows, columns), atol=2e-4)


def test_the_first_step_changes_nothing():
    soap, parameters = SOAP(RATE), {"w": mx.ones((2, 3)), "b": mx.ones(3)}
    after = soap.apply_gradients({"w": mx.ones((2, 3)), "b": mx.ones(3)}, parameters)
    assert mx.array_equal(after["w"], parameters["w"]) and mx.array_equal(after["b"], parameters["b"])
    assert set(soap.state["w"]) == {"m", "v", "factor_0", "basis_0", "factor_1", "basis_1"}


@pytest.mark.parametrize("shape", [(5,), (200, 150), (2, 3, 4)])
def test_what_has_no_short_side_is_trained_by_adam(shape):
    rng = np.random.default_rng(2)
    gradients = [mx.array(rng.normal(size=shape), mx.float32) for _ in range(5)]
    soap, parameters = SOAP(RATE, weight_decay=0.0), {"w": mx.zeros(shape)}
    adam, expected = optimizers.Adam(RATE, [0.95, 0.95], bias_correction=True), {"w": mx.zeros(shape)}
    for gradient in gradients:
        parameters = soap.apply_gradients({"w": gradient}, parameters)
    for gradient in gradients[1:]:
        expected = adam.apply_gradients({"w": gradient}, expected)
    assert mx.allclose(parameters["w"], expected["w"], rtol=1e-3, atol=1e-4)
    assert set(soap.state["w"]) == {"m", "v"}


def losses(optimizer: optimizers.Optimizer, compiled: bool = False) -> list[float]:
    """The losses of 150 steps on a quadratic whose axes are rotated and whose curvatures span six orders of magnitude."""
    rng = np.random.default_rng(3)
    turn = [mx.array(np.linalg.qr(rng.normal(size=(n, n)))[0], mx.float32) for n in (6, 8)]
    scale = mx.outer(mx.array(np.logspace(0, 1.5, 6), mx.float32), mx.array(np.logspace(0, 1.5, 8), mx.float32))
    goal = mx.array(rng.normal(size=(6, 8)), mx.float32)
    parameters = {"w": mx.zeros((6, 8))}

    def loss(parameters: dict) -> mx.array:
        return mx.sum(mx.square(scale * (turn[0].T @ (parameters["w"] - goal) @ turn[1])))

    state = [parameters, optimizer.state]

    def step() -> mx.array:
        value, gradients = mx.value_and_grad(loss)(parameters)
        parameters.update(optimizer.apply_gradients(gradients, parameters))
        return value

    if compiled:
        step = mx.compile(step, inputs=state, outputs=state)
    found = []
    for _ in range(150):
        found.append(step().item())
        mx.eval(state)
    return found


@pytest.mark.parametrize("peak", [0.1, 0.2, 0.5])
def test_it_solves_a_rotated_problem_faster_than_adam(peak):
    def rate(step: mx.array) -> mx.array:
        return peak * (1 - step / 150)

    soap = losses(SOAP(rate, weight_decay=0.0))
    adam = losses(optimizers.Adam(rate, [0.95, 0.95], bias_correction=True))
    assert adam[-1] < adam[0] / 100
    assert soap[-1] < adam[-1] / 4


@pytest.mark.skipif(on_cpu() and not shutil.which("g++"), reason="MLX compiles with g++")
def test_it_can_be_compiled():
    # On a GPU, the training loop compiles the update, which then cannot branch on the step.
    mx.enable_compile()
    try:
        compiled = losses(SOAP(0.1), compiled=True)
    finally:
        if on_cpu():
            mx.disable_compile()  # as cantica.engine.backend.device leaves it
    np.testing.assert_allclose(compiled, losses(SOAP(0.1)), rtol=1e-4)
