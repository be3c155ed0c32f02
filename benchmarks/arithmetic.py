"""The arithmetic that a training step needs."""


def flops_per_token(config: dict, adapted: int, rank: int, length: int, counted: float) -> float:
    """The least number of floating-point operations per token for training a LoRA adapter on a model like llama.

    config: the model's config.json. adapted: blocks, from the output, with LoRA on all seven linear layers. length: tokens
    of a record. counted: share of tokens in the loss. A product of (m, k) and (k, n) is 2 m k n; nothing but products is
    counted. The forward pass goes through all blocks, the backward pass through the adapted ones, for their inputs only:
    frozen weights have no gradient. Attention computes half of all pairs, and the head the tokens in the loss.
    """
    hidden, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    d = config.get("head_dim") or hidden // heads
    query, key = heads * d, config["num_key_value_heads"] * d
    shapes = [(hidden, query), (hidden, key), (hidden, key), (query, hidden), (hidden, inner), (hidden, inner), (inner, hidden)]
    linear = 2 * sum(m * n for m, n in shapes)
    lora = 2 * rank * sum(m + n for m, n in shapes)
    attention = 2 * 2 * query * (length + 1) / 2  # scores and their use, forward; backward is two products for each
    head = 2 * hidden * config["vocab_size"] * counted
    blocks = config["num_hidden_layers"]
    adapted = blocks if adapted == -1 else adapted
    # No gradient is needed below the lowest adapted block, so those of its q, k and v to their input are not computed.
    spared = sum(2 * m * n + 2 * rank * m for m, n in shapes[:3])
    return blocks * (linear + attention) + adapted * (linear + 2 * attention + 3 * lora) - spared + 2 * head
