"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al. 2024, https://arxiv.org/abs/2409.11321)."""

from collections.abc import Callable

import mlx.core as mx
import mlx.optimizers as optimizers


class SOAP(optimizers.Optimizer):
    """Algorithm 3 of the paper, with the defaults of its authors' code.

    The first step only starts the preconditioner and changes no parameter, so that no gradient is projected to a basis that was
    computed from it. `betas`, with bias correction, `weight_decay`, decoupled, and `eps` are those of Adam; the second beta is
    that of the preconditioner too. A side of a matrix is preconditioned if it is no longer than `max_precond_dim`: of a LoRA
    matrix the rank. What has no such side, or is no matrix, is trained by Adam.
    """

    def __init__(
        self,
        learning_rate: float | Callable[[mx.array], mx.array],
        betas: tuple[float, float] = (0.95, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        precondition_frequency: int = 10,
        max_precond_dim: int = 128,
    ):
        super().__init__()
        self._maybe_schedule("learning_rate", learning_rate)
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self.precondition_frequency, self.max_precond_dim = precondition_frequency, max_precond_dim

    def init_single(self, parameter: mx.array, state: dict) -> None:
        """Leave the state empty: the first gradient starts it."""

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> mx.array:
        """Return the updated parameter, and update its state.

        m and v are Adam's, v in the eigenbasis; `factor_0` is L of the paper, `basis_0` its eigenvectors, in columns, with the
        largest eigenvalue first; `factor_1` and `basis_1` are R and its eigenvectors.
        """
        beta1, beta2 = self.betas
        axes = [axis for axis in (0, 1) if gradient.ndim == 2 and gradient.shape[axis] <= self.max_precond_dim]
        if not state:
            state["m"], state["v"] = mx.zeros_like(gradient), mx.zeros_like(gradient)
            for axis in axes:
                state[f"factor_{axis}"] = (1 - beta2) * _outer(gradient, axis)
                state[f"basis_{axis}"] = mx.linalg.eigh(state[f"factor_{axis}"], stream=mx.cpu)[1][:, ::-1]
            return parameter

        updates = self.step - 1
        bases = {axis: state[f"basis_{axis}"] for axis in axes}
        # m is rotated as a sum of parts, one of them the gradient in v: a coordinate that is 0 in v, but for rounding not in
        # another product, would change by its rounding error divided by eps.
        turned = _rotate(gradient, bases)
        m = beta1 * state["m"] + (1 - beta1) * gradient
        v = beta2 * state["v"] + (1 - beta2) * mx.square(turned)
        rotated = (beta1 * _rotate(state["m"], bases) + (1 - beta1) * turned) / (mx.sqrt(v) + self.eps)
        rate = self.learning_rate * mx.sqrt(1 - beta2**updates) / (1 - beta1**updates)
        change = rate * _rotate(rotated, {axis: basis.T for axis, basis in bases.items()})

        # MLX may compile the update, which then cannot branch. What is not due is computed too: a small matrix costs little.
        due = updates % self.precondition_frequency == 0
        for axis, basis in bases.items():
            factor = beta2 * state[f"factor_{axis}"] + (1 - beta2) * _outer(gradient, axis)
            renewed, order = _renew(factor, basis)
            state[f"factor_{axis}"], state[f"basis_{axis}"] = factor, mx.where(due, renewed, basis)
            v = mx.where(due, mx.take(v, order, axis), v)
        state["m"], state["v"] = m, v
        return parameter * (1 - self.learning_rate * self.weight_decay) - change


def _outer(gradient: mx.array, axis: int) -> mx.array:
    """Return the products of the rows of a gradient (axis 0) or of its columns (axis 1)."""
    return gradient.T @ gradient if axis else gradient @ gradient.T


def _rotate(matrix: mx.array, bases: dict[int, mx.array]) -> mx.array:
    """Return the coordinates of a matrix's columns (axis 0) and rows (axis 1) in the bases."""
    for axis, basis in bases.items():
        matrix = matrix @ basis if axis else basis.T @ matrix
    return matrix


def _renew(factor: mx.array, basis: mx.array) -> tuple[mx.array, mx.array]:
    """Return (the eigenbasis after one more power iteration, the order of its vectors in the former one)."""
    product = factor @ basis
    order = mx.argsort(-mx.sum(basis * product, axis=0))
    return mx.linalg.qr(product[:, order], stream=mx.cpu)[0], order
