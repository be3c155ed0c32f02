"""mlx-lm without patches: the trainer, loss and settings of `mlx_lm lora`, on float32 weights.

The command itself would train on the 4-bit weights, which takes several times as long on a CPU.
"""

import ctypes
import math
import os
import tempfile
import time

if "CANTICA_BENCH_BLAS" in os.environ:
    ctypes.CDLL(os.environ["CANTICA_BENCH_BLAS"], mode=ctypes.RTLD_GLOBAL)

import mlx.core as mx
import numpy as np
from mlx.optimizers import AdamW
from mlx_lm import load
from mlx_lm.tuner.callbacks import TrainingCallback
from mlx_lm.tuner.trainer import TrainingArgs, default_loss, train
from mlx_lm.tuner.utils import linear_to_lora_layers

from benchmarks.peers.serve import Worker, serve


class Losses(TrainingCallback):
    def __init__(self):
        self.losses: list[float] = []

    def on_train_loss_report(self, info: dict) -> None:
        self.losses.append(info["train_loss"])


class Stock(Worker):
    packages = ("mlx", "mlx-lm")

    def load(self, base: str, adapter: str, dropout: float = 0.0) -> None:
        import json
        from pathlib import Path

        self.model, _ = load(base)
        self.model.freeze()
        config = json.loads((Path(adapter) / "adapter_config.json").read_text())
        linear_to_lora_layers(self.model, config["num_layers"], config["lora_parameters"] | {"dropout": dropout})
        self.model.load_weights(f"{adapter}/adapters.safetensors", strict=False)

    def train(self, records: list[dict], settings: dict, in_pieces: bool = False) -> dict:
        """The seconds of a training on the records in their order, and its loss in each iteration.

        in_pieces: use `loss_in_pieces` instead of the trainer's own loss.
        """
        begin, losses = time.perf_counter(), Losses()
        size, number = settings["batch_size"], settings["iters"]
        batches = [as_batch(records[place : place + size]) for place in range(0, len(records), size)]
        with tempfile.TemporaryDirectory() as scratch:
            train(
                self.model,
                AdamW(learning_rate=settings["learning_rate"]),
                records,
                args=TrainingArgs(
                    batch_size=size,
                    iters=number,
                    steps_per_report=1,
                    steps_per_save=number + 1,
                    max_seq_length=settings["max_seq_length"],
                    adapter_file=f"{scratch}/adapters.safetensors",
                ),
                loss=loss_in_pieces if in_pieces else default_loss,
                iterate_batches=lambda **_: iter(batches),
                training_callback=losses,
            )
        return {"seconds": time.perf_counter() - begin, "losses": losses.losses}


def loss_in_pieces(model, batch: mx.array, lengths: mx.array) -> tuple[mx.array, mx.array]:
    """What mlx-lm's `default_loss` gives, but for its rounding.

    MLX adds up the 49,152 terms of a token one after the other in float32, which is off by 2e-4 nats; here it is 256 at a time.
    """
    inputs, targets = batch[:, :-1], batch[:, 1:]
    logits = model(inputs)
    places = mx.arange(1, targets.shape[1] + 1)
    counts = mx.logical_and(places >= lengths[:, :1], places <= lengths[:, 1:])
    pieces = logits.reshape(*logits.shape[:-1], -1, math.gcd(logits.shape[-1], 256))
    picked = mx.take_along_axis(logits, targets[..., None], axis=-1).squeeze(-1)
    losses = mx.logsumexp(mx.logsumexp(pieces, axis=-1), axis=-1) - picked
    return (losses * counts).sum() / counts.sum(), counts.sum()


def as_batch(records: list[dict]) -> tuple[mx.array, mx.array]:
    """What mlx-lm's `iterate_batches` gives of records of one length: (batch, length) ids and (batch, 2) offset and length.

    It would pad them by one more, and its loss would count that token too.
    """
    ids = np.array([record["ids"] for record in records], np.int32)
    return mx.array(ids), mx.array([[record["start"], len(record["ids"])] for record in records])


if __name__ == "__main__":
    serve(Stock())
