"""What the frozen blocks of a model make of a text, kept from one stage to the next.

The blocks before the first that an adapter changes are those of the base model, so that every step's adapter is measured
behind the same ones. What they give for a batch is kept in `.cache/frozen/`, under a hash of all that it follows from: the base
model, the code, the versions, the BLAS kernel and the batch. It is a speed-up and no input: without the file it is computed.
"""

import hashlib
import io
import platform
import shutil
from contextlib import suppress
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from cantica.core.files import whole_file
from cantica.engine.model import LoraShape
from cantica.training.checkpoint import fingerprint

FOLDER = Path(".cache/frozen")
# Models that are embedding, blocks one after the other under one causal mask, norm and head.
_PLAIN = {f"mlx_lm.models.{name}" for name in ("llama", "olmo2", "qwen2", "qwen3")}


def remember_frozen_blocks(model: nn.Module, shape: LoraShape, base: Path, versions) -> None:
    """Let a model with an adapter of this shape, which is not trained here, take from FOLDER what its frozen blocks give.

    On a CPU only, and only where the blocks stand one after the other under one mask; elsewhere nothing changes.
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
    """Blocks of a model in the place of one; a file of `folder` is its SHA-256 and, as .npy, what they give for a batch."""

    use_sliding = False

    def __init__(self, blocks: list, folder: Path):
        super().__init__()
        self.blocks, self._folder = blocks, folder

    def __call__(self, x: mx.array, mask=None, cache=None) -> mx.array:
        """Hidden states (batch, length, d) after the blocks, of embeddings of the same shape."""
        assert mask is None or isinstance(mask, str), "a batch's own mask is none of a plain model without a cache"
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
    # A build beside this one, on another base model, may be removing the folder.
    with suppress(FileNotFoundError), whole_file(file, shared=True) as partial:
        partial.write_bytes(hashlib.sha256(content.getbuffer()).digest() + content.getbuffer())


def _read(file: Path) -> mx.array | None:
    """What a file holds; None where there is none, or one that is damaged."""
    try:
        stored = file.read_bytes()
    except FileNotFoundError:
        return None
    if hashlib.sha256(stored[32:]).digest() != stored[:32]:
        return None
    return mx.array(np.load(io.BytesIO(stored[32:])))
