"""GGUF files as llama.cpp's converter writes them."""

from pathlib import Path

import mlx.core as mx

from cantica.core.documents import read_json

TO_GGUF = [
    ("model.embed_tokens", "token_embd"),
    ("model.norm", "output_norm"),
    ("model.layers.", "blk."),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"),
]


def rope_order(rows: mx.array, heads: int) -> mx.array:
    """What llama.cpp's converter does to query and key projections."""
    half = rows.shape[0] // heads // 2
    return rows.reshape(heads, 2, half, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def bpe_metadata(tokenizer_file: Path) -> dict:
    document = read_json(tokenizer_file)
    vocabulary = document["model"]["vocab"]
    special = {token["id"] for token in document["added_tokens"]}
    merges = document["model"]["merges"]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": sorted(vocabulary, key=vocabulary.get),
        "tokenizer.ggml.merges": [merge if isinstance(merge, str) else " ".join(merge) for merge in merges],
        "tokenizer.ggml.token_type": mx.array([3 if n in special else 1 for n in range(len(vocabulary))], mx.int32),
        "tokenizer.ggml.bos_token_id": mx.array(0, mx.uint32),
        "tokenizer.ggml.eos_token_id": mx.array(2, mx.uint32),
        "tokenizer.chat_template": "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}{% endfor %}",
    }


def llama_metadata(config: dict) -> dict:
    whole = {
        "embedding_length": "hidden_size",
        "block_count": "num_hidden_layers",
        "feed_forward_length": "intermediate_size",
        "attention.head_count": "num_attention_heads",
        "attention.head_count_kv": "num_key_value_heads",
        "context_length": "max_position_embeddings",
    }
    return {
        "general.architecture": "llama",
        **{f"llama.{key}": mx.array(config[name], mx.uint32) for key, name in whole.items()},
        "llama.attention.layer_norm_rms_epsilon": mx.array(config["rms_norm_eps"]),
        "llama.rope.freq_base": mx.array(config["rope_theta"]),
    }


def write_gguf(base: Path, file: Path, dtype=mx.float32, tensors=None, metadata=None) -> Path:
    """A GGUF file of a random llama, as llama.cpp's converter would write it."""
    config = read_json(base / "config.json")
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    arrays = {}
    for name, array in mx.load(str(base / "model.safetensors")).items():
        for ours, theirs in TO_GGUF:
            name = name.replace(ours, theirs)
        part = name.split(".")[-2]
        array = rope_order(array, heads[part]) if part in heads else array
        arrays[name] = array.astype(dtype) if array.ndim == 2 else array
    arrays |= tensors or {}
    described = llama_metadata(config) | bpe_metadata(base / "tokenizer.json") | (metadata or {})
    mx.save_gguf(str(file), arrays, described)
    return file
