"""Read a llama-architecture GGUF file as mlx-lm's weights and configuration.

The GGUF specification defines the names and metadata keys (ggml-org/ggml, docs/gguf.md).
"""

import re
from pathlib import Path
from typing import Any, cast

import mlx.core as mx

from cantica.core.documents import raise_any
from cantica.core.errors import InputError, Problem

_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_TENSOR = re.compile(r"^(?:blk\.(?P<block>\d+)\.)?(?P<name>\w+)\.(?P<part>weight|scales|biases|bias)$")


def read_gguf(path: Path) -> tuple[dict[str, mx.array], dict, dict]:
    """Return (weights, config, metadata) of a GGUF file, with the names and layout of weights in `mlx_lm.models.llama`.

    Quantized weights stay packed. Their scales and biases have 16 bits in GGUF and become float32, so that products are
    float32 too. Raises InputError if the file is not a GGUF file with a llama model.
    """
    try:
        loaded = mx.load(str(path), format="gguf", return_metadata=True)
    except (RuntimeError, ValueError) as error:
        raise InputError(Problem(str(path), "", str(error), "a GGUF file that MLX reads")) from None
    arrays, found = cast(tuple[dict[str, mx.array], dict[str, Any]], loaded)
    metadata = {key: value.tolist() if isinstance(value, mx.array) else value for key, value in found.items()}
    architecture = metadata.get("general.architecture")
    if architecture != "llama":
        raise InputError(Problem(str(path), "general.architecture", repr(architecture), "'llama'"))
    _require(metadata, arrays, path)
    config = _config(metadata, arrays)
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    weights, unknown = {}, []
    for name, array in arrays.items():
        match = _TENSOR.match(name)
        if match is None or match["name"] not in _NAMES:
            unknown.append(name)
            continue
        if match["name"] in heads:
            array = undo_rope_order(array, heads[match["name"]])
        if array.dtype == mx.float16:
            array = array.astype(mx.float32)
        block = f"model.layers.{match['block']}." if match["block"] else ""
        weights[f"{block}{_NAMES[match['name']]}.{match['part']}"] = array
    if unknown:
        got = f"tensors that are not in mlx-lm's llama: {', '.join(sorted(unknown))}"
        raise InputError(Problem(str(path), "", got, "the tensors of a llama and no others"))
    if quantization := _quantization(weights):
        config["quantization"] = quantization
    return weights, config, metadata


def _require(metadata: dict, arrays: dict, path: Path) -> None:
    """Raise InputError for keys and tensors that are missing, and for scaled rotary embeddings."""
    keys: tuple[str, ...] = ("embedding_length", "block_count", "feed_forward_length", "context_length")
    keys += ("attention.head_count", "attention.layer_norm_rms_epsilon")
    missing = [f"llama.{key}" for key in keys if f"llama.{key}" not in metadata]
    missing += [name for name in ("token_embd.weight", "output_norm.weight") if name not in arrays]
    problems = [Problem(str(path), name, "nothing there", "a value") for name in missing]
    if metadata.get("llama.rope.scaling.type", "none") != "none":
        got = repr(metadata["llama.rope.scaling.type"])
        problems.append(Problem(str(path), "llama.rope.scaling.type", got, "rotary embeddings without scaling"))
    raise_any(problems)


def undo_rope_order(rows: mx.array, heads: int) -> mx.array:
    """Return the rows of a query or key projection in Hugging Face's order.

    rows: (H × D, …), H heads of D rows each. llama.cpp stores the rows of a head as pairs for its rotary embedding: 0, D/2, 1,
    D/2 + 1, …
    """
    size = rows.shape[0] // heads
    return rows.reshape(heads, size // 2, 2, -1).swapaxes(1, 2).reshape(rows.shape)


def _config(metadata: dict, arrays: dict) -> dict:
    def value(key: str, default: Any = None) -> Any:
        return metadata.get(f"llama.{key}", default)

    heads = value("attention.head_count")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": value("embedding_length"),
        "num_hidden_layers": value("block_count"),
        "intermediate_size": value("feed_forward_length"),
        "num_attention_heads": heads,
        "num_key_value_heads": value("attention.head_count_kv", heads),
        "head_dim": value("attention.key_length", value("embedding_length") // heads),
        "rms_norm_eps": round(value("attention.layer_norm_rms_epsilon"), 12),
        "rope_theta": value("rope.freq_base", 10000.0),
        "max_position_embeddings": value("context_length"),
        "vocab_size": arrays["token_embd.weight"].shape[0],
        "tie_word_embeddings": "output.weight" not in arrays,
        "bos_token_id": metadata.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": metadata.get("tokenizer.ggml.eos_token_id"),
    }


def _quantization(weights: dict[str, mx.array]) -> dict | None:
    """Return mlx-lm's `quantization` entry: the most common bits and group size, and those of each module that differs.

    Return None if no weights are quantized.
    """
    modules = {}
    for name, scales in weights.items():
        if name.endswith(".scales"):
            module = name.removesuffix(".scales")
            group_size = 32  # GGUF's Q4_0, Q4_1 and Q8_0 have one scale per 32 values
            bits = weights[f"{module}.weight"].shape[-1] * 32 // (scales.shape[-1] * group_size)
            modules[module] = {"group_size": group_size, "bits": bits}
    if not modules:
        return None
    counted = list(modules.values())
    common = max(counted, key=counted.count)
    return common | {module: own for module, own in sorted(modules.items()) if own != common}
