"""The optimizer and learning-rate schedule of a step."""

from collections.abc import Callable
from functools import partial

import mlx.optimizers as optimizers
from mlx_lm.tuner.utils import build_schedule

from cantica.training.settings import StepSettings
from cantica.training.soap import SOAP

_OPTIMIZERS: dict[str, Callable[..., optimizers.Optimizer]] = {
    "adafactor": partial(optimizers.Adafactor, relative_step=False, scale_parameter=False),  # uses the given rate
    "adam": optimizers.Adam,
    "adamw": optimizers.AdamW,
    "muon": optimizers.Muon,
    "sgd": partial(optimizers.SGD, momentum=0.9),
    "soap": SOAP,
}


def make_optimizer(settings: StepSettings) -> optimizers.Optimizer:
    """Return an MLX optimizer from `optimizer`, `learning_rate`, `schedule`, `warmup` and `iters` of the settings.

    During warm-up, the rate rises from 0 to `learning_rate`. A decay then lowers it, so that it would reach 0 just after the
    last iteration.
    """
    rate, warmup = settings["learning_rate"], settings["warmup"]
    # mlx-lm starts the decay one iteration after warm-up, so the peak rate is used twice.
    decay = settings["iters"] - warmup - (warmup > 0)
    schedules = {
        "constant": ("linear_schedule", [rate, rate, 1]),
        "linear_decay": ("linear_schedule", [rate, 0.0, max(1, decay)]),
        "cosine_decay": ("cosine_decay", [rate, max(1, decay)]),
    }
    name, arguments = schedules[settings["schedule"]]
    schedule = build_schedule({"name": name, "arguments": arguments, "warmup": warmup})
    return _OPTIMIZERS[settings["optimizer"]](learning_rate=schedule)
