"""The loss curve of a step, and the record of the step that is written with it."""

import math
import time
from typing import cast

import mlx.core as mx
import mlx.optimizers as optimizers

from cantica.core.records import CurveRow, TrainingRecord
from cantica.engine.tokens import Encoded
from cantica.training.processes import sum_over_processes
from cantica.training.settings import StepSettings


class Sums:
    """Sums over the iterations since the last row of the curve.

    Checkpoints are saved only after a new row, so they do not contain these sums.
    """

    def __init__(self) -> None:
        self.loss, self.tokens = mx.array(0.0), mx.array(0.0)
        self.iterations, self.start = 0, time.perf_counter()

    def add(self, loss: mx.array, tokens: mx.array) -> None:
        """Add this process's loss of an iteration (a mean per token, in nats) and its number of tokens."""
        self.loss, self.tokens, self.iterations = self.loss + loss, self.tokens + tokens, self.iterations + 1

    def row(self, iteration: int, optimizer: optimizers.Optimizer, curve: list[CurveRow]) -> CurveRow:
        """Return the next row of the curve. Every process must call this."""
        trained = curve[-1]["trained_tokens"] if curve else 0
        return {
            "iteration": iteration,
            "train_loss": sum_over_processes(self.loss) / (self.iterations * mx.distributed.init().size()),
            "learning_rate": learning_rate(optimizer),
            "trained_tokens": trained + sum_over_processes(self.tokens),
        }

    def summary(self, row: CurveRow) -> str:
        """Return a row as a line to print, with the speed of this process."""
        speed = self.tokens.item() / (time.perf_counter() - self.start)
        return f"train_loss {row['train_loss']:.3f}, {speed:.0f} tokens per second"


def learning_rate(optimizer: optimizers.Optimizer) -> float:
    """Return the learning rate of the last update."""
    return cast(float, optimizer.learning_rate.item())


def training_record(records: list[Encoded], settings: StepSettings, curve: list[CurveRow]) -> TrainingRecord:
    """Return the record of a step that trained on `records`."""
    return {
        "examples": len(records),
        "examples_cut": sum(record.truncated > 0 for record in records),
        "tokens_cut": sum(record.truncated for record in records),
        "tokens": sum(len(record.ids) for record in records),
        "loss_tokens": sum(record.loss_tokens for record in records),
        "iterations": settings["iters"],
        "epochs": round(settings["iters"] / math.ceil(len(records) / settings["batch_size"]), 3),
        "curve": curve,
    }
