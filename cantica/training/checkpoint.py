"""Checkpoints of a training step. An interrupted step continues from its checkpoint and writes the same bytes.

Checkpoints are not outputs. The name of a checkpoint contains a hash of everything that the result depends on, so a checkpoint
from other settings, inputs or code is never used. Adapters that `train.checkpoints` keeps are in the same folder until the step
ends.
"""

import hashlib
import io
import json
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optimizers
from mlx.utils import tree_flatten, tree_unflatten

from cantica.core.files import remove_unused, whole_file, whole_folder
from cantica.core.fingerprint import fingerprint
from cantica.engine.backend.device import device_names
from cantica.engine.model import CONFIG, WEIGHTS, checkpoint_name, save_weights
from cantica.training.curve import CurveRow

FOLDER = Path(".cache/checkpoints")


class Checkpoint:
    """The last checkpoint of a step: LoRA tensors, optimizer state, MLX's random state, and the loss curve so far.

    kept: {iteration: SHA-256 of the adapter that was kept after it}. resumes: whether the step can resume; if not, these
    adapters are all that is saved.
    """

    def __init__(self, step: str, settings: object, inputs: Iterable[Path], resumes: bool = True):
        self.step, self.settings, self.inputs, self.resumes = step, settings, inputs, resumes
        self.seconds = float(os.environ.get("CANTICA_CHECKPOINT_SECONDS", 30))
        self.saved = time.monotonic()
        self.kept: dict[int, str] = {}

    @cached_property
    def path(self) -> Path:
        """The checkpoint's file. Its name is computed at first use, when every module of the step is loaded."""
        return FOLDER / f"{self.step}.{fingerprint([self.settings, device_names()], self.inputs)}"

    def load(self, model: nn.Module, optimizer: optimizers.Optimizer) -> list[CurveRow]:
        """Restore the model, its optimizer and MLX's random state from the checkpoint; return its loss curve.

        If there is no checkpoint, or it is damaged, nothing changes and the returned curve is empty.
        """
        if not self.resumes or not self.path.exists():
            return []
        stored = self.path.read_bytes()
        digest, content = stored[:32], stored[32:]
        if hashlib.sha256(content).digest() != digest:
            return self._damaged(self.path)
        loaded = mx.load(io.BytesIO(content), format="safetensors", return_metadata=True)
        tensors, metadata = cast(tuple[dict[str, mx.array], dict[str, str]], loaded)
        kept = {int(iteration): digest for iteration, digest in json.loads(metadata["kept"]).items()}
        for iteration, digest in kept.items():
            if self._digest(iteration) != digest:
                return self._damaged(self.place(iteration))
        self.kept = kept
        mx.eval(tensors)
        tree = cast(dict[str, Any], tree_unflatten(list(tensors.items())))
        model.update(tree["model"])
        optimizer.state = tree["optimizer"]
        mx.random.seed(int(metadata["random"]))
        curve = json.loads(metadata["curve"])
        print(f"{self.step}: continues after iteration {curve[-1]['iteration']}, from {self.path}", flush=True)
        return curve

    def _damaged(self, path: Path) -> list[CurveRow]:
        print(f"{self.step}: {path} is damaged and not used; training starts from the beginning", flush=True)
        return []

    def place(self, iteration: int) -> Path:
        """Return the folder that holds the adapter of an iteration until the step ends."""
        return self.path.with_name(f"{self.path.name}.{checkpoint_name(iteration)}")

    def _digest(self, iteration: int) -> str:
        """Return the SHA-256 of a kept adapter, or "" if there is none."""
        file = self.place(iteration) / WEIGHTS
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else ""

    def keep(self, model: nn.Module, iteration: int) -> None:
        """Keep the model's LoRA tensors as they are after an iteration."""
        with whole_folder(self.place(iteration)) as folder:
            save_weights(model, folder / WEIGHTS)
        self.kept[iteration] = self._digest(iteration)

    def copy_kept(self, adapter: Path) -> None:
        """Copy each kept adapter into the folder of the step's adapter, with a copy of that folder's configuration."""
        for iteration in self.kept:
            place = adapter / checkpoint_name(iteration)
            shutil.copytree(self.place(iteration), place)
            shutil.copy(adapter / CONFIG, place)

    def save(self, model: nn.Module, optimizer: optimizers.Optimizer, curve: list[CurveRow]) -> None:
        """Replace the checkpoint, unless the last one was saved less than `seconds` ago."""
        if not self.resumes or time.monotonic() - self.saved < self.seconds:
            return
        # MLX's random state is a seed of 64 bits, in two halves.
        high, low = cast(list[int], cast(list[mx.array], mx.random.state)[0].tolist())
        metadata = {"random": str(high << 32 | low), "curve": json.dumps(curve), "kept": json.dumps(self.kept)}
        tree = {"model": model.trainable_parameters(), "optimizer": optimizer.state}
        content = io.BytesIO()
        mx.save_safetensors(content, dict(tree_flatten(tree)), metadata)
        try:
            with whole_file(self.path) as partial:
                partial.write_bytes(hashlib.sha256(content.getbuffer()).digest() + content.getbuffer())
        except OSError as error:
            print(f"{self.step}: no checkpoint after iteration {curve[-1]['iteration']}: {error}", flush=True)
        self.saved = time.monotonic()

    def remove(self) -> None:
        """Remove this checkpoint, and others that are older than a week. Newer ones may belong to a step that still trains."""
        for path in FOLDER.glob(f"{self.path.name}*"):
            with suppress(FileNotFoundError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        remove_unused(FOLDER)
