"""Write a tokenizer in Hugging Face's layout: the one in a GGUF file, or a small one trained on a text."""

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from cantica.core.errors import InputError, Problem

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_CONTROL, _USER_DEFINED = 3, 4  # tokenizer.ggml.token_type

# How each `tokenizer.ggml.pre` splits text before merging. The patterns are from the models' tokenizer.json.
_CL100K = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_PATTERNS = {"llama-bpe": _CL100K, "qwen2": _CL100K.replace(r"\p{N}{1,3}", r"\p{N}")}


def gguf_tokenizer(metadata: dict, file: Path) -> Tokenizer:
    """Return the tokenizer in a GGUF file's metadata. Raises InputError for an unknown kind."""
    tokens = metadata["tokenizer.ggml.tokens"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    kind = metadata.get("tokenizer.ggml.model")
    if kind == "gpt2":
        merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, fuse_unk=False))
        tokenizer.pre_tokenizer = _pre_tokenizer(metadata.get("tokenizer.ggml.pre", "default"), file)
        tokenizer.decoder = decoders.ByteLevel()
    elif kind == "llama":
        tokenizer = _sentencepiece(vocabulary, metadata)
    else:
        raise InputError(Problem(str(file), "tokenizer.ggml.model", repr(kind), "'gpt2' or 'llama'"))
    types = metadata.get("tokenizer.ggml.token_type", [])
    tokenizer.add_special_tokens([_added(t) for t, kind in zip(tokens, types, strict=False) if kind == _CONTROL])
    tokenizer.add_tokens([_added(t) for t, kind in zip(tokens, types, strict=False) if kind == _USER_DEFINED])
    return tokenizer


def _added(token: str) -> AddedToken:
    return AddedToken(token, normalized=False)


def _pre_tokenizer(pre: str, file: Path) -> pre_tokenizers.PreTokenizer:
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if pre in ("default", "gpt-2"):
        return whole
    if pre in ("smollm", "starcoder", "refact", "command-r"):
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), whole])
    if pre in _PATTERNS:
        cut = pre_tokenizers.Split(Regex(_PATTERNS[pre]), behavior="isolated")
        return pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    known = "default, gpt-2, smollm, starcoder, refact, command-r, llama-bpe or qwen2"
    raise InputError(Problem(str(file), "tokenizer.ggml.pre", repr(pre), known))


def _sentencepiece(vocabulary: dict[str, int], metadata: dict) -> Tokenizer:
    from transformers.convert_slow_tokenizer import generate_merges

    scores = dict(zip(vocabulary, metadata["tokenizer.ggml.scores"], strict=True))
    unknown = metadata["tokenizer.ggml.tokens"][metadata.get("tokenizer.ggml.unknown_token_id", 0)]
    merges = generate_merges(vocabulary, scores)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token=unknown, fuse_unk=True, byte_fallback=True))
    prefix = metadata.get("tokenizer.ggml.add_space_prefix", True)
    spaces = [normalizers.Prepend("▁")] if prefix else []
    tokenizer.normalizer = normalizers.Sequence([*spaces, normalizers.Replace(" ", "▁")])
    strip = [decoders.Strip(" ", 1, 0)] if prefix else []
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
    return tokenizer


def gguf_settings(metadata: dict) -> dict:
    """Return the `tokenizer_config.json` for a GGUF file's metadata: special tokens and chat template."""
    tokens = metadata["tokenizer.ggml.tokens"]
    roles = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
    special = {role: metadata.get(f"tokenizer.ggml.{name}_token_id") for role, name in roles.items()}
    return {
        **{role: tokens[index] for role, index in special.items() if index is not None},
        "chat_template": metadata.get("tokenizer.chat_template", CHATML),
        "model_max_length": metadata.get("llama.context_length"),
    }


def learnt_tokenizer(text: str, vocab_size: int) -> Tokenizer:
    """Return a byte-level BPE tokenizer with `vocab_size` tokens, trained on a text. It can encode every string."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


LEARNT_SETTINGS = {
    "bos_token": "<|endoftext|>",
    "eos_token": "<|im_end|>",
    "pad_token": "<|endoftext|>",
    "chat_template": CHATML,
    "model_max_length": 8192,
}


def save_tokenizer(tokenizer: Tokenizer, settings: dict, folder: Path) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json` into a model's folder."""
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False} | settings
    text = json.dumps(settings, ensure_ascii=False, indent=2) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")
