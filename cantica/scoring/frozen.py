"""A cache on disk of the hidden states after a model's frozen blocks, so that one stage computes them for all others.

An adapter changes only the last blocks of the base model. The blocks before them are *frozen*: they are those of the base model
for every step, and give the same hidden states for the same text. So the losses of all steps on the validation examples need
the first blocks only once. The hidden states of each batch are kept in `.cache/frozen/`, and later stages run only the last
blocks. The file name is a hash of all that the states depend on: the base model, the code, the versions of the libraries, the
BLAS kernel and the batch. This saves time and changes no number: a state without a file is computed.
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
from cantica.engine.model import LoraShape

FOLDER = Path(".cache/frozen")
# Models that consist of an embedding, blocks in sequence under one causal mask, a norm and a head.
_PLAIN = {f"mlx_lm.models.{name}" for name in ("llama", "olmo2", "qwen2", "qwen3")}


def remember_frozen_blocks(model: nn.Module, shape: LoraShape, base: Path, versions: dict[str, str]) -> None:
    """Replace the frozen blocks of a model by FrozenBlocks, for measuring an adapter of this shape (not for training it).

    Only on a CPU, and only for models whose blocks stand in sequence under one mask; any other model stays as it is.
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
    """Several blocks in the place of one, which read their output from `folder` or compute it and write it there.

    A file contains the SHA-256 of the rest, then the output for one batch in the .npy format.
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
    # A build of another base model at the same time may be removing the folder.
    with suppress(FileNotFoundError), whole_file(file, shared=True) as partial:
        partial.write_bytes(hashlib.sha256(content.getbuffer()).digest() + content.getbuffer())


def _read(file: Path) -> mx.array | None:
    """Return the array in a file; None when there is no file or it is damaged."""
    try:
        stored = file.read_bytes()
    except FileNotFoundError:
        return None
    if hashlib.sha256(stored[32:]).digest() != stored[:32]:
        return None
    return mx.array(np.load(io.BytesIO(stored[32:])))
