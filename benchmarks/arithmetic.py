"""How much arithmetic a training step needs."""


def flops_per_token(config: dict, adapted: int, rank: int, length: int, counted: float) -> float:
    """Floating-point operations a token that training a LoRA adapter cannot do without, of a llama-like model.

    config: the model's config.json. adapted: blocks, from the output, that have LoRA on all seven linear layers. length: tokens
    of a record. counted: share of the tokens that carry the loss. A product of (m, k) and (k, n) is 2 m k n; what is not a
    product is not counted. Forward goes through all blocks, backward through the adapted ones and for their inputs alone:
    frozen weights have no gradient. Attention looks at half of all pairs, and the head at the counted tokens.
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
    # Nothing below the lowest adapted block asks for a gradient, so the products into its q, k and v are spared.
    spared = sum(2 * m * n + 2 * rank * m for m, n in shapes[:3])
    return blocks * (linear + attention) + adapted * (linear + 2 * attention + 3 * lora) - spared + 2 * head
