"""What the config.json of a base model rules out: blocks that it does not have, attention heads that do not fit its width."""

from cantica.core.errors import Problem

# The number of transformer blocks, as one architecture or another calls it.
BLOCKS = ("num_hidden_layers", "n_layers", "n_layer", "num_layers")
# (what must be divided, by what)
DIVIDED = (("hidden_size", "num_attention_heads"), ("num_attention_heads", "num_key_value_heads"))


def head_faults(config: dict, file: str, place: str) -> list[Problem]:
    """A Problem for each number of attention heads that does not divide what the heads share.

    Where the size of a head is given, the heads share no width; transformers wants a llama's divided all the same.
    """
    problems = []
    for whole, parts in DIVIDED:
        free = whole == "hidden_size" and config.get("head_dim") and config.get("model_type") != "llama"
        numbers = config.get(whole), config.get(parts)
        if all(isinstance(number, int) and number > 0 for number in numbers) and numbers[0] % numbers[1] and not free:
            problems.append(Problem(file, f"{place}.{parts}", str(numbers[1]), f"a number that divides {whole}, {numbers[0]}"))
    return problems


def layer_faults(params: dict, config: dict, file: str) -> list[Problem]:
    """A Problem for each number of `layers` to adapt in params that is more than the base model has blocks."""
    blocks = next((config[key] for key in BLOCKS if isinstance(config.get(key), int)), None)
    layers = {"lora.layers": params["lora"]["layers"]}
    layers |= {f"curriculum.{s}.layers": step["layers"] for s, step in params["curriculum"].items() if "layers" in step}
    return [
        Problem(file, place, str(number), f"{blocks} at most, the blocks of the base model, or -1 for all")
        for place, number in layers.items()
        if blocks is not None and number > blocks
    ]
