"""mlx-lm's model, LoRA layers and loss in float64, with what MLX computes to seven digits in float64 too written out.

That is its exponential, sine and cosine, and on a CPU the fused functions.
"""

import json
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten
from mlx_lm import load
from mlx_lm.models import llama
from mlx_lm.tuner.utils import linear_to_lora_layers

from benchmarks.peers.serve import Worker, serve


@mx.custom_function
def exp(x):
    """Exponential from products and sums: Taylor's series of x / 1024, squared ten times. x is taken as at least -200."""
    x = mx.maximum(x, mx.array(-200.0, mx.float64)) / 1024
    power = mx.ones_like(x)
    for n in range(15, 0, -1):
        power = 1 + power * x / n
    for _ in range(10):
        power = power * power
    return power


@exp.vjp
def _(x, cotangent, output):
    return cotangent * output


def logsumexp(x):
    top = mx.stop_gradient(x.max(axis=-1, keepdims=True))
    return (mx.log(exp(x - top).sum(axis=-1, keepdims=True)) + top)[..., 0]


def rms_norm(x, weight, eps):
    return x / mx.sqrt((x * x).mean(axis=-1, keepdims=True) + eps) * weight


def rope(x, dims, *, traditional, base, scale, offset):
    """Rotary positions of the kind that llama has: the halves of each head turn together."""
    assert not traditional and scale == 1.0 and offset == 0 and dims == x.shape[-1]
    angles = np.arange(x.shape[-2])[:, None] * np.float64(base) ** (-np.arange(0, dims, 2) / dims)
    cos, sin = mx.array(np.cos(angles), mx.float64), mx.array(np.sin(angles), mx.float64)
    one, other = mx.split(x, 2, axis=-1)
    return mx.concatenate([one * cos - other * sin, other * cos + one * sin], axis=-1)


def attention(q, k, v, *, scale, mask, **_):
    assert mask == "causal"
    k, v = (mx.repeat(x, q.shape[1] // k.shape[1], axis=1) for x in (k, v))
    scores = (q * scale) @ k.swapaxes(-1, -2)
    scores = mx.where(mx.tri(q.shape[2], dtype=mx.bool_), scores, mx.array(-1e9, mx.float64))
    return exp(scores - logsumexp(scores)[..., None]) @ v


def swiglu(gate, x):
    return gate / (1 + exp(-gate)) * x


class Float64(Worker):
    def load(self, base: str, adapter: str) -> None:
        self.model, _ = load(base)
        self.model.freeze()
        config = json.loads((Path(adapter) / "adapter_config.json").read_text())
        linear_to_lora_layers(self.model, config["num_layers"], config["lora_parameters"])
        self.model.load_weights(f"{adapter}/adapters.safetensors", strict=False)
        self.model.set_dtype(mx.float64)
        mx.fast.rms_norm, mx.fast.rope, mx.fast.scaled_dot_product_attention = rms_norm, rope, attention
        llama.swiglu = swiglu

    def gradients(self, records: list[dict], file: str) -> float:
        """The loss of a batch of records of one length; its gradient goes to an .npz file."""
        ids = mx.array([record["ids"] for record in records])
        counted = [(row, place) for row, record in enumerate(records) for place in range(record["start"], len(record["ids"]))]
        rows, places = (mx.array(part) for part in zip(*counted, strict=True))

        def loss(model):
            hidden = model.model(ids[:, :-1])[rows, places - 1]
            logits = model.lm_head(hidden) if "lm_head" in model else model.model.embed_tokens.as_linear(hidden)
            picked = mx.take_along_axis(logits, ids[rows, places][:, None], axis=-1)[:, 0]
            return (logsumexp(logits) - picked).mean()

        value, gradient = nn.value_and_grad(self.model, loss)(self.model)
        mx.eval(value, gradient)
        np.savez(file, **{name: np.array(tensor) for name, tensor in tree_flatten(gradient)})
        return value.item()


if __name__ == "__main__":
    mx.set_default_device(mx.cpu)
    serve(Float64())
