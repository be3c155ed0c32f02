"""Cantica as its stages call it: `training.loop.train`, `generation.generate.generate`, `scoring.score.mean_logprobs`."""

import os

from cantica.engine.backend.blas import fix_blas

fix_blas(os.environ["CANTICA_BENCH_CORE"])  # before the libraries that load a BLAS

import hashlib
import json
import tempfile
import time
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten
from mlx_lm.utils import dequantize_model

from benchmarks.peers.serve import Worker, gigaflops, serve
from cantica.commands.peft import write_peft
from cantica.engine.backend.cores import cores, on_cores
from cantica.engine.backend.cpu.compiled import multiply
from cantica.engine.backend.cpu.train import Trainer
from cantica.engine.lora import LoraShape, new_adapter
from cantica.engine.model import load_adapter, load_base, save_adapter
from cantica.engine.tokens import Encoded
from cantica.generation.generate import Sampler, generate
from cantica.scoring.score import mean_logprobs
from cantica.training.loop import train


class Ours(Worker):
    packages = ("mlx", "mlx-lm", "scipy-openblas32")

    def load(self, base: str, adapter: str, dropout: float = 0.0) -> None:
        self.model, self.tokenizer = load_base(Path(base))
        self.shape = load_adapter(self.model, Path(adapter), dropout)

    def train(self, records: list[dict], settings: dict) -> dict:
        """The seconds of a training, and its loss in each iteration."""
        begin = time.perf_counter()
        curve = train(self.model, [encoded(record) for record in records], settings, "benchmark")
        return {"seconds": time.perf_counter() - begin, "losses": [row["train_loss"] for row in curve]}

    def digest(self) -> str:
        """SHA-256 of the adapter's file."""
        with tempfile.TemporaryDirectory() as folder:
            save_adapter(self.model, self.shape, 0.0, Path(folder))
            return hashlib.sha256((Path(folder) / "adapters.safetensors").read_bytes()).hexdigest()

    def gradients(self, records: list[dict], file: str) -> float:
        """The loss of a batch. Its gradient is written to an .npz file."""
        batch = [encoded(record) for record in records]
        value, _, gradient = Trainer(self.model, batch, 1.0, recomputes=False)(batch)
        np.savez(file, **{name: np.array(tensor) for name, tensor in tree_flatten(gradient)})
        return value.item()

    def generate(self, prompts: list[list[int]], tokens: int) -> dict:
        """The seconds and texts of `tokens` greedy tokens after each prompt, all prompts at once."""
        self.tokenizer.eos_token_ids = set()  # all peers generate the same number
        begin = time.perf_counter()
        samplers = [Sampler(0, 1, 0) for _ in prompts]
        replies = generate(self.model, self.tokenizer, prompts, samplers, tokens, len(prompts), lambda: None)
        return {"seconds": time.perf_counter() - begin, "texts": [reply.text for reply in replies]}

    def score(self, records: list[dict], batch_size: int) -> dict:
        """The seconds, and the mean log-probability of each record's tokens in the loss."""
        begin = time.perf_counter()
        means = mean_logprobs(self.model, [encoded(record) for record in records], batch_size)
        return {"seconds": time.perf_counter() - begin, "means": means}

    def gigaflops(self) -> float:
        """GFLOP/s of all cores together, each with a product of its own."""
        a, b = np.random.default_rng(1).standard_normal((2, 1024, 1024), np.float32)
        outs = [np.empty_like(a) for _ in range(cores())]
        return len(outs) * gigaflops(lambda: on_cores(lambda out: multiply(a, b, out, False, False, 1, 0), outs))

    def prepare(self, base: str, folder: str, layers: list[int], rank: int, scale: float) -> None:
        """Write the input of the peers: the base model's weights in float32, and for each of `layers` an adapter on it.

        An adapter is written for mlx-lm (`<layers>/`) and for PEFT (`<layers>-peft/`). Its B is not zero, so the losses of
        peers agree only if its tensors, their places and the scale agree.
        """
        target = Path(folder)
        model, _ = load_base(Path(base))
        model = dequantize_model(model)
        model.set_dtype(mx.float32)
        (target / "base").mkdir(parents=True, exist_ok=True)
        mx.save_safetensors(str(target / "base/model.safetensors"), dict(tree_flatten(model.parameters())), {"format": "pt"})
        config = json.loads((Path(base) / "config.json").read_text())
        plain = {key: value for key, value in config.items() if not key.startswith("quantization")}
        (target / "base/config.json").write_text(json.dumps(plain))
        for file in Path(base).glob("tokenizer*"):
            (target / "base" / file.name).write_bytes(file.read_bytes())
        for number in layers:
            model, _ = load_base(Path(base))
            write_adapters(model, LoraShape(number, rank, scale), target / str(number), target / f"{number}-peft")


def encoded(record: dict) -> Encoded:
    return Encoded(record["ids"], [place >= record["start"] for place in range(len(record["ids"]))], 0)


def write_adapters(model, shape: LoraShape, folder: Path, peft: Path) -> None:
    """Write an adapter with a small effect, once for mlx-lm and once for PEFT."""
    new_adapter(model, shape, 0.0, seed=1)
    tensors = dict(tree_flatten(model.trainable_parameters()))
    tensors |= {name: mx.random.normal(w.shape) * 0.01 for name, w in tensors.items() if name.endswith("lora_b")}
    model.load_weights(list(tensors.items()), strict=False)
    folder.mkdir(exist_ok=True)
    save_adapter(model, shape, 0.0, folder)
    write_peft(folder, peft, "base")


if __name__ == "__main__":
    serve(Ours())
