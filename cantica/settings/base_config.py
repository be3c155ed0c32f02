"""Check params.yaml against the config.json of the base model: its number of blocks, and the sizes of its attention heads."""

from cantica.core.errors import Problem

# Names that the architectures of mlx-lm use for the number of transformer blocks.
BLOCKS = ("num_hidden_layers", "n_layers", "n_layer", "num_layers")
# (a number, the number that must divide it)
DIVISORS = (("hidden_size", "num_attention_heads"), ("num_attention_heads", "num_key_value_heads"))


def head_faults(config: dict, file: str, place: str) -> list[Problem]:
    """Return a Problem for each number in DIVISORS that is not divisible.

    If `head_dim` sets the size of a head, hidden_size need not be divisible. The exception is a llama, where transformers
    requires it.
    """
    problems = []
    for whole, parts in DIVISORS:
        if whole == "hidden_size" and config.get("head_dim") and config.get("model_type") != "llama":
            continue
        number, divisor = config.get(whole), config.get(parts)
        if isinstance(number, int) and isinstance(divisor, int) and min(number, divisor) > 0 and number % divisor:
            problems.append(Problem(file, f"{place}.{parts}", str(divisor), f"a number that divides {whole}, {number}"))
    return problems


def layer_faults(params: dict, config: dict, file: str) -> list[Problem]:
    """Return a Problem for each `layers` in params that is larger than the number of blocks of the base model."""
    blocks = next((config[key] for key in BLOCKS if isinstance(config.get(key), int)), None)
    layers = {"lora.layers": params["lora"]["layers"]}
    layers |= {f"curriculum.{s}.layers": step["layers"] for s, step in params["curriculum"].items() if "layers" in step}
    return [
        Problem(file, place, str(number), f"at most {blocks}, the number of blocks of the base model, or -1 for all")
        for place, number in layers.items()
        if blocks is not None and number > blocks
    ]
