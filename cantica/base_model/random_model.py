"""Write a base model with random weights."""

import json
from pathlib import Path

from cantica.core.errors import InputError, Problem


def from_random(pin: dict, folder: Path) -> None:
    """Write a model with random weights and the architecture of `config`, which can be small enough for tests.

    Raises InputError for a configuration or a quantization that mlx-lm cannot build.
    """
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_lm.utils import _get_classes, quantize_model

    from cantica.base_model.bpe import LEARNT_SETTINGS, learnt_tokenizer, save_tokenizer

    # The tokenizer is trained on the text of the licence, which is in every clone and never changes.
    tokenizer = learnt_tokenizer(Path("LICENSE").read_text(encoding="utf-8"), pin["vocab_size"])
    save_tokenizer(tokenizer, LEARNT_SETTINGS, folder)
    special = {
        "bos_token_id": tokenizer.token_to_id("<|endoftext|>"),
        "eos_token_id": tokenizer.token_to_id("<|im_end|>"),
    }
    config = pin["config"] | special | {"vocab_size": tokenizer.get_vocab_size()}
    mx.random.seed(pin["seed"])
    try:
        model_class, args_class = _get_classes(config)
        model = model_class(args_class.from_dict(config))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            Problem("params.yaml", "base.random.config", str(error), "a configuration that mlx-lm builds")
        ) from None
    if "quantization" in pin:
        quantization = pin["quantization"]
        model, config = quantize_model(model, config, quantization["group_size"], quantization["bits"])
        if not any(name.endswith(".scales") for name in dict(tree_flatten(model.parameters()))):
            got = f"group size {quantization['group_size']}, which divides no layer"
            raise InputError(Problem("params.yaml", "base.random.quantization", got, "one that divides hidden_size"))
    mx.save_safetensors(str(folder / "model.safetensors"), dict(tree_flatten(model.parameters())), metadata={"format": "mlx"})
    write_config(config, folder)


def write_config(config: dict, folder: Path) -> None:
    """Write a model's `config.json`, keys sorted."""
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
