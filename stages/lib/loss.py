"""Cross-entropy on the tokens that count, and on no others."""

import mlx.core as mx
import mlx.nn as nn

from stages.lib import cpu_kernels

# Models whose logits are `head(model.model(inputs))` and nothing else, so that the head can be spared the other positions.
_PLAIN_HEADS = {f"mlx_lm.models.{name}" for name in ("llama", "olmo2", "olmo3", "qwen2", "qwen3")}


def answer_logits(model: nn.Module, inputs: mx.array, positions: mx.array) -> mx.array:
    """Logits (n, vocabulary) at `positions` (n,) of the flattened `inputs` (batch, length)."""
    if type(model).__module__ not in _PLAIN_HEADS:
        logits = model(inputs)
        return logits.reshape(-1, logits.shape[-1])[positions]
    hidden = model.model(inputs)
    hidden = hidden.reshape(-1, hidden.shape[-1])[positions]
    return model.lm_head(hidden) if "lm_head" in model else model.model.embed_tokens.as_linear(hidden)


def token_losses(model: nn.Module, inputs: mx.array, positions: mx.array, targets: mx.array) -> mx.array:
    """Cross-entropy in nats (n,), in float32, of each counted token of a batch from `batches.collate`."""
    logits = answer_logits(model, inputs, positions).astype(mx.float32)
    on_gpu = mx.default_device() == mx.gpu
    return (nn.losses.cross_entropy if on_gpu else cpu_kernels.cross_entropy)(logits, targets)


def loss(model: nn.Module, inputs: mx.array, positions: mx.array, targets: mx.array, weights: mx.array):
    """(mean cross-entropy in nats a token, number of tokens) of a batch from `batches.collate`."""
    tokens = weights.sum()
    return (token_losses(model, inputs, positions, targets) * weights).sum() / tokens, tokens
