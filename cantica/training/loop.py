"""The training loop: batch, loss and gradients, average over processes, update; then reports and checkpoints."""

import math
from collections.abc import Callable
from functools import partial
from itertools import islice

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optimizers
from mlx.nn.utils import average_gradients
from mlx.utils import tree_map
from mlx_lm.utils import maybe_set_recommended_wired_limit

from cantica.core.errors import InputError, Problem
from cantica.engine.backend.device import on_compiled_blocks, on_cpu
from cantica.engine.backend.memory import keep_freed_memory
from cantica.engine.batches import Batch, collate, epochs
from cantica.engine.lora import lora_tensors
from cantica.engine.loss import loss
from cantica.engine.tokens import Encoded
from cantica.training.checkpoint import Checkpoint
from cantica.training.curve import CurveRow, Sums, learning_rate
from cantica.training.optimizer import make_optimizer
from cantica.training.processes import own_part
from cantica.training.settings import StepSettings, kept_iterations

CACHE = 8 << 30  # bytes that MLX may keep for later arrays
ROWS = 25  # rows of a loss curve; a few more if the number of iterations is not a multiple of this

Update = Callable[[list[Encoded], mx.array | None], tuple[mx.array, mx.array]]


def train(
    model: nn.Module, records: list[Encoded], settings: StepSettings, step: str, checkpoint: Checkpoint | None = None
) -> list[CurveRow]:
    """Train the model's LoRA tensors in place, starting from the checkpoint if there is one; return the loss curve.

    `checkpoint` keeps the adapter after the iterations that `checkpoints` of the settings names. If mlx.launch started several
    processes, all of them must call this function; they end with the same tensors and curve. Raises InputError if a loss, or a
    weight at the end, is not finite.
    """
    group, iters = mx.distributed.init(), settings["iters"]
    if on_cpu():
        keep_freed_memory()
    optimizer = make_optimizer(settings)
    # Each process has its own dropout.
    mx.random.seed(settings["seed"] + group.rank())
    curve = checkpoint.load(model, optimizer) if checkpoint else []
    done = curve[-1]["iteration"] if curve else 0
    batches = list(islice(epochs(records, settings["batch_size"], settings["seed"]), iters))
    update, state = make_update(model, optimizer, _of_batches(records, batches), settings)
    kept = kept_iterations(settings)
    if checkpoint and 0 in kept and not done:
        checkpoint.keep(model, 0)

    sums = Sums()
    for iteration, batch in enumerate(batches[done:], done + 1):
        part, share = own_part(batch, group) if group.size() > 1 else (batch, None)
        sums.add(*update(part, share))
        mx.eval(state, sums.loss, sums.tokens)
        if mx.get_cache_memory() > CACHE:
            mx.clear_cache()
        if checkpoint and iteration in kept:
            checkpoint.keep(model, iteration)
        if iteration % max(1, iters // ROWS) == 0 or iteration == iters:
            curve.append(sums.row(iteration, optimizer, curve))
            if not math.isfinite(curve[-1]["train_loss"]):
                raise not_finite(step, iteration, f"a loss of {curve[-1]['train_loss']}", optimizer)
            if group.rank() == 0:
                print(f"{step}: iteration {iteration} of {iters}, {sums.summary(curve[-1])}", flush=True)
            if checkpoint:
                checkpoint.save(model, optimizer, curve)
            sums = Sums()
    # The last loss was computed before the last update, so the updated weights are checked too.
    if not all(mx.isfinite(tensor).all().item() for tensor in lora_tensors(model).values()):
        raise not_finite(step, iters, "weights that are not finite", optimizer)
    return curve


def _of_batches(records: list[Encoded], batches: list[list[Encoded]]) -> list[Encoded]:
    """Return the records that are in a batch."""
    some = {id(record) for batch in batches for record in batch}
    return [record for record in records if id(record) in some]


def make_update(
    model: nn.Module, optimizer: optimizers.Optimizer, records: list[Encoded], settings: StepSettings
) -> tuple[Update, list]:
    """Return (a function that trains the model on a batch and returns its loss and number of tokens, the state it changes).

    records: those that batches are made of.
    """
    model.train()
    state = [model.state, optimizer.state, mx.random.state]
    if on_compiled_blocks(model):
        from cantica.engine.backend.cpu.train import Trainer

        trainer = Trainer(model, records, 1 - settings["dropout"], settings["grad_checkpoint"])

        def update(batch: list[Encoded], share: mx.array | None) -> tuple[mx.array, mx.array]:
            mean, tokens, gradients = trainer(batch)
            if share is not None:
                mean, tokens, gradients = mean * share, tokens * (share > 0), tree_map(lambda x: x * share, gradients)
            optimizer.update(model, average_gradients(gradients))
            return mean, tokens

        return update, state
    of_batch = _update_by_mlx(model, optimizer, state, settings["grad_checkpoint"])
    return lambda batch, share: of_batch(collate(batch), share), state


def _update_by_mlx(
    model: nn.Module, optimizer: optimizers.Optimizer, state: list, grad_checkpoint: bool
) -> Callable[[Batch, mx.array | None], tuple[mx.array, mx.array]]:
    """Return the function of `make_update` for batches from `collate`, with MLX's own graph.

    The differentiated function takes only the trainable parameters as an argument, not the model. With the model, MLX would
    find its frozen weights, and keep every array that depends on them until the update.
    """
    if grad_checkpoint:
        from mlx_lm.tuner.trainer import grad_checkpoint as checkpoint_blocks

        checkpoint_blocks(model.layers[0])
    maybe_set_recommended_wired_limit()

    def loss_of(parameters: dict, batch: Batch, share: mx.array | None) -> tuple[mx.array, mx.array]:
        model.update(parameters)
        mean, tokens = loss(model, *batch)
        return (mean, tokens) if share is None else (mean * share, tokens * (share > 0))

    loss_and_gradients = mx.value_and_grad(loss_of)

    @partial(mx.compile, inputs=state, outputs=state)
    def update(batch: Batch, share: mx.array | None) -> tuple[mx.array, mx.array]:
        (mean, tokens), gradients = loss_and_gradients(model.trainable_parameters(), batch, share)
        optimizer.update(model, average_gradients(gradients))
        return mean, tokens

    return update


def not_finite(step: str, iteration: int, got: str, optimizer: optimizers.Optimizer) -> InputError:
    """Return the error for a step whose training has diverged."""
    place = f"curriculum.{step}, iteration {iteration}"
    hint = "lower the learning rate or the scale"
    got = f"{got} at learning rate {learning_rate(optimizer):.3g}"
    return InputError(Problem("params.yaml", place, got, "finite numbers", hint))
