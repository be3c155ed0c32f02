"""The settings of a step."""

from typing import Literal, NotRequired, TypedDict


class LaunchSettings(TypedDict):
    """`train.launch`: the processes that train a step together."""

    processes: int
    hostfile: NotRequired[str]  # for mlx.launch


class StepSettings(TypedDict):
    """`curriculum.<step>`, with what it does not override of `lora` and `train`. schemas/params.schema.json explains each."""

    after: str
    adapter: NotRequired[Literal["continue", "fresh"]]
    layers: int
    rank: int
    scale: float
    dropout: float
    loss_on: list[str]
    max_seq_length: int  # tokens
    iters: int
    batch_size: int  # examples
    seed: int
    optimizer: str
    learning_rate: float
    schedule: str
    warmup: int  # iterations
    grad_checkpoint: bool
    checkpoints: int | list[int]  # iterations between two kept adapters, 0 for none; or the iterations after which to keep one
    launch: LaunchSettings | None


def kept_iterations(settings: StepSettings) -> list[int]:
    """Return the iterations after which the adapter is kept; 0 is before training. The last one is the step's own adapter."""
    wanted, iters = settings["checkpoints"], settings["iters"]
    if isinstance(wanted, int):
        wanted = list(range(wanted, iters, wanted)) if wanted else []
    return [iteration for iteration in wanted if iteration < iters]
