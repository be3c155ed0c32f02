"""The optimizer and learning-rate schedule of a step."""

import mlx.optimizers as optimizers
from mlx_lm.tuner.utils import build_schedule

_OPTIMIZERS = {
    "adam": optimizers.Adam,
    "adamw": optimizers.AdamW,
    "muon": optimizers.Muon,
    "sgd": optimizers.SGD,
    "adafactor": optimizers.Adafactor,
}


def make_optimizer(settings: dict) -> optimizers.Optimizer:
    """An MLX optimizer from `optimizer`, `learning_rate`, `schedule`, `warmup` and `iters`.

    A decaying schedule ends at 0 with the last iteration; warm-up rises from 0 before it.
    """
    rate, warmup, iters = settings["learning_rate"], settings["warmup"], settings["iters"]
    decay = max(1, iters - warmup)
    arguments = {
        "constant": None,
        "linear_decay": ("linear_schedule", [rate, 0.0, decay]),
        "cosine_decay": ("cosine_decay", [rate, decay]),
    }
    if settings["schedule"] == "constant":
        name, values = "linear_schedule", [rate, rate, decay]
    else:
        name, values = arguments[settings["schedule"]]
    schedule = build_schedule({"name": name, "arguments": values, "warmup": warmup})
    return _OPTIMIZERS[settings["optimizer"]](learning_rate=schedule)
