"""A cache on disk of the hidden states after a model's frozen blocks, so that they are computed once for all stages.

An adapter changes only the last blocks of the base model. The blocks before them are *frozen*: they are the same in every step,
and give the same hidden states for the same text. So their hidden states for the validation examples are computed only once
and kept in `.cache/frozen/`, a file for each group of texts. Later stages run only the last blocks. The file name is a hash of
everything that the states depend on: the base model, the code, the versions of the libraries, the BLAS kernel and the texts.
The cache saves time and changes no number: if a file is missing, its states are computed again.
"""

import hashlib
import io
import json
import platform
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import mlx.nn as nn
import numpy as np

from cantica.core.files import whole_file
from cantica.core.fingerprint import fingerprint
from cantica.engine.lora import LoraShape

FOLDER = Path(".cache/frozen")


class FrozenStates:
    """The states in one folder: of one base model, up to one block, with one version of everything."""

    def __init__(self, model: nn.Module, shape: LoraShape, base: Path, versions: dict[str, str]) -> None:
        """shape: of the adapters that are evaluated. All other folders are removed."""
        blocks = len(model.layers) - shape.layers if shape.layers >= 0 else 0
        self._folder = FOLDER / fingerprint([blocks, versions, platform.machine()], (base,))
        for other in FOLDER.glob("*"):
            if other != self._folder:
                shutil.rmtree(other, ignore_errors=True)

    def __call__(self, texts: Sequence[Sequence[int]], compute: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the states of a group of texts, given as tokens: those on disk, or else what `compute` returns."""
        file = self._folder / hashlib.sha256(json.dumps(texts).encode()).hexdigest()
        if (kept := _read(file)) is not None:
            return kept
        states = compute()
        _write(file, states)
        return states


def _write(file: Path, x: np.ndarray) -> None:
    content = io.BytesIO()
    np.save(content, x)
    # Another build, of another base model, may remove the folder at the same time.
    with suppress(FileNotFoundError), whole_file(file, shared=True) as partial:
        partial.write_bytes(hashlib.sha256(content.getbuffer()).digest() + content.getbuffer())


def _read(file: Path) -> np.ndarray | None:
    """Return the array in a file, or None if the file is missing or damaged."""
    try:
        stored = file.read_bytes()
    except FileNotFoundError:
        return None
    if hashlib.sha256(stored[32:]).digest() != stored[:32]:
        return None
    return np.array(np.load(io.BytesIO(stored[32:])))
