"""The settings of a step."""

from typing import NotRequired, TypedDict


class LaunchSettings(TypedDict):
    """`train.launch`: the processes that train a step together."""

    processes: int
    hostfile: NotRequired[str]  # for mlx.launch


class StepSettings(TypedDict):
    """`lora` and `train` of params.yaml, as `curriculum.<step>` overrides them. schemas/params.schema.json explains each."""

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
    checkpoints: int  # iterations between two kept adapters; 0 for none
    launch: LaunchSettings | None
