"""Cross-entropy on the tokens that count, and on no others."""

import mlx.core as mx
import mlx.nn as nn

from cantica.engine import cpu_kernels
from cantica.engine.cpu_memory import untraced

# Models whose logits are `head(model.model(inputs))` and nothing else, so that the head can be spared the other positions.
_PLAIN_HEADS = {f"mlx_lm.models.{name}" for name in ("llama", "olmo2", "olmo3", "qwen2", "qwen3")}


def token_losses(model: nn.Module, inputs: mx.array, positions: mx.array, targets: mx.array, trains: bool = False) -> mx.array:
    """Cross-entropy in nats (n,), in float32, of each counted token of a batch from `batches.collate`.

    It has a gradient where `trains` says so.
    """
    if type(model).__module__ not in _PLAIN_HEADS:
        logits = model(inputs)
        return nn.losses.cross_entropy(logits.reshape(-1, logits.shape[-1])[positions].astype(mx.float32), targets)
    on_cpu = mx.default_device() == mx.cpu
    if on_cpu:
        inputs, positions = untraced(inputs), untraced(positions)
    hidden = model.model(inputs)
    hidden = hidden.reshape(-1, hidden.shape[-1])[positions]
    head = model.lm_head if "lm_head" in model else model.model.embed_tokens
    if on_cpu and hidden.dtype == mx.float32:
        return cpu_kernels.head_losses(hidden, head.weight, targets, trains)
    logits = head(hidden) if "lm_head" in model else head.as_linear(hidden)
    return nn.losses.cross_entropy(logits.astype(mx.float32), targets)


def loss(model: nn.Module, inputs: mx.array, positions: mx.array, targets: mx.array, weights: mx.array):
    """(mean cross-entropy in nats a token, number of tokens) of a batch from `batches.collate`, for training."""
    tokens = weights.sum()
    return (token_losses(model, inputs, positions, targets, trains=True) * weights).sum() / tokens, tokens
