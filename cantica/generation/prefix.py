"""Find the common start of several texts, and compute its key-value caches once for all of them."""

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.cache import make_prompt_cache


def common_start(texts: list[list[int]]) -> list[int]:
    """Return the tokens that all texts begin with."""
    length = next((n for n, column in enumerate(zip(*texts, strict=False)) if len(set(column)) > 1), min(map(len, texts)))
    return texts[0][:length]


def caches_after(model: nn.Module, tokens: list[int]) -> list:
    """Return the key-value cache of each block after it has read the tokens. Without tokens the caches are empty."""
    caches = make_prompt_cache(model)
    if tokens:
        model(mx.array([tokens]), cache=caches)
        mx.eval([cache.state for cache in caches])
    return caches
