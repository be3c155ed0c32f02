"""Cross-entropy of the tokens in the loss. No logits are computed at other positions."""

import mlx.core as mx
import mlx.nn as nn

# Models whose logits are `head(model.model(inputs))`, so that the head can be applied to some positions only.
_PLAIN_HEADS = {f"mlx_lm.models.{name}" for name in ("llama", "olmo2", "olmo3", "qwen2", "qwen3")}


def token_losses(model: nn.Module, inputs: mx.array, positions: mx.array, targets: mx.array) -> mx.array:
    """Return the cross-entropy, in nats, of each token in the loss of a batch from `batches.collate`: shape N, float32.

    Shapes: inputs_BL, positions_N, targets_N.
    """
    if type(model).__module__ not in _PLAIN_HEADS:
        logits = model(inputs)
        return nn.losses.cross_entropy(logits.reshape(-1, logits.shape[-1])[positions].astype(mx.float32), targets)
    hidden = model.model(inputs)
    hidden = hidden.reshape(-1, hidden.shape[-1])[positions]
    head = model.lm_head if "lm_head" in model else model.model.embed_tokens
    logits = head(hidden) if "lm_head" in model else head.as_linear(hidden)
    return nn.losses.cross_entropy(logits.astype(mx.float32), targets)


def loss(
    model: nn.Module, inputs: mx.array, positions: mx.array, targets: mx.array, weights: mx.array
) -> tuple[mx.array, mx.array]:
    """Return (mean cross-entropy in nats per token, number of tokens) of a batch from `batches.collate`, for training."""
    tokens = weights.sum()
    return (token_losses(model, inputs, positions, targets) * weights).sum() / tokens, tokens
