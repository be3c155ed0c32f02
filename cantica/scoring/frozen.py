"""A cache on disk of the hidden states after a model's frozen blocks, so that they are computed once for all stages.

An adapter changes only the last blocks of the base model. The blocks before them are *frozen*: they are the same in every step,
and give the same hidden states for the same text. So their hidden states for the validation examples are computed only once
and kept in `.cache/frozen/`, a file for each batch. Later stages run only the last blocks. The file name is a hash of
everything that the states depend on: the base model, the code, the versions of the libraries, the BLAS kernel and the batch.
The cache saves time and changes no number: if a file is missing, its states are computed again.
"""

import hashlib
import io
import platform
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from cantica.core.files import whole_file
from cantica.core.fingerprint import fingerprint
from cantica.engine.lora import LoraShape

FOLDER = Path(".cache/frozen")
# Models that consist of an embedding, blocks that run in sequence with one causal mask, a norm and a head.
_PLAIN = {f"mlx_lm.models.{name}" for name in ("llama", "olmo2", "qwen2", "qwen3")}


def remember_frozen_blocks(model: nn.Module, shape: LoraShape, base: Path, versions: dict[str, str]) -> None:
    """Replace the frozen blocks of a model by FrozenBlocks, to evaluate (not train) an adapter of this shape.

    This is done only on a CPU, and only for models whose blocks run in sequence with one mask. Other models stay unchanged.
    """
    blocks = len(model.layers) - shape.layers if shape.layers >= 0 else 0
    slides = any(getattr(block, "use_sliding", False) for block in model.layers)
    if mx.default_device() != mx.cpu or type(model).__module__ not in _PLAIN or slides or blocks < 1:
        return
    settings = [blocks, versions, platform.machine()]
    folder = FOLDER / fingerprint(settings, (base,))
    for other in FOLDER.glob("*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    model.model.layers = [FrozenBlocks(model.model.layers[:blocks], folder), *model.model.layers[blocks:]]


class FrozenBlocks(nn.Module):
    """Several blocks that act as one. They read their output from `folder`, or compute it and write it there.

    A file contains the output for one batch in the .npy format, after a SHA-256 of that output.
    """

    use_sliding = False

    def __init__(self, blocks: list[nn.Module], folder: Path):
        super().__init__()
        self.blocks, self._folder = blocks, folder

    def __call__(self, x: mx.array, mask: str | None = None, cache: Any = None) -> mx.array:
        """Return the hidden states (B, L, D) after the blocks, for embeddings of the same shape."""
        assert mask is None or isinstance(mask, str), "a plain model without a cache has no mask per batch"
        file = self._folder / hashlib.sha256(repr((x.shape, mask)).encode() + np.array(x).tobytes()).hexdigest()
        if (kept := _read(file)) is not None:
            return kept
        for block in self.blocks:
            x = block(x, mask, cache)
        _write(file, x)
        return x


def _write(file: Path, x: mx.array) -> None:
    content = io.BytesIO()
    np.save(content, np.array(x))
    # Another build, of another base model, may remove the folder at the same time.
    with suppress(FileNotFoundError), whole_file(file, shared=True) as partial:
        partial.write_bytes(hashlib.sha256(content.getbuffer()).digest() + content.getbuffer())


def _read(file: Path) -> mx.array | None:
    """Return the array in a file, or None if the file is missing or damaged."""
    try:
        stored = file.read_bytes()
    except FileNotFoundError:
        return None
    if hashlib.sha256(stored[32:]).digest() != stored[:32]:
        return None
    return mx.array(np.load(io.BytesIO(stored[32:])))
