"""A Llama of mlx-lm, run by the compiled blocks on all cores. Its weights are MLX's own arrays, not copies."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from math import prod
from threading import local
from typing import Any, TypeVar

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from cantica.engine.backend.cores import cores
from cantica.engine.backend.cpu.attention import QUERIES, weights_of
from cantica.engine.backend.cpu.block import LINEARS, Block, Kept, Rows, Scratch, forward
from cantica.engine.backend.cpu.linear import Linear

FAMILIES = ("mlx_lm.models.llama", "mlx_lm.models.qwen2")
ROWS = 256  # rows of a group, unless one text is longer
ONE = np.float32(1)
Item, Result = TypeVar("Item"), TypeVar("Result")


def runs(model: nn.Module) -> bool:
    """Return whether the compiled blocks can run a model: one with the layers of a Llama, on a CPU, in float32."""
    if mx.default_device() != mx.cpu or type(model).__module__ not in FAMILIES:
        return False
    one = model.layers[0]
    plain = not getattr(one.self_attn.rope, "traditional", False) and model.model.norm.weight.dtype == mx.float32
    return plain and not any(getattr(block, "use_sliding", False) for block in model.layers)


@dataclass
class Llama:
    """The arrays of a model, for compiled functions. head_VD; cos, sin: of the angles at each place in a text."""

    embedding: np.ndarray
    blocks: list[Block]
    norm: np.ndarray
    head: np.ndarray
    cos: np.ndarray
    sin: np.ndarray
    adapted: int  # the first block with LoRA layers, or the number of blocks

    @property
    def rank(self) -> int:
        """Return the largest rank of a LoRA layer."""
        return max((getattr(block, name).a.shape[1] for block in self.blocks for name in LINEARS), default=0)


def llama(model: nn.Module, length: int) -> Llama:
    """Return the arrays of a model for texts of at most `length` tokens."""
    blocks = [_block(block) for block in model.layers]
    adapted = (n for n, block in enumerate(blocks) if any(getattr(block, name).a.shape[1] for name in LINEARS))
    tokens = model.model.embed_tokens.weight
    cos, sin = _angles(model.layers[0].self_attn, blocks[0].size // 2, length)
    head = model.lm_head.weight if "lm_head" in model else tokens
    return Llama(_view(tokens), blocks, _view(model.model.norm.weight), _view(head), cos, sin, next(adapted, len(blocks)))


def _block(block: nn.Module) -> Block:
    own, mlp = block.self_attn, block.mlp
    q, k, v, o = (_linear(layer) for layer in (own.q_proj, own.k_proj, own.v_proj, own.o_proj))
    gate, up, down = (_linear(layer) for layer in (mlp.gate_proj, mlp.up_proj, mlp.down_proj))
    norms = (_view(norm.weight) for norm in (block.input_layernorm, block.post_attention_layernorm))
    eps, size = np.float32(block.input_layernorm.eps), q.weight.shape[0] // own.n_heads
    return Block(next(norms), q, k, v, o, next(norms), gate, up, down, eps, own.n_heads, size, np.float32(own.scale))


def _linear(layer: nn.Module) -> Linear:
    """Return the arrays of a layer. A frozen LoRA layer below the one that trains becomes a part of the weights."""
    if "lora_a" not in layer:
        weight, bias = _view(layer.weight), _view(layer.bias) if "bias" in layer else np.zeros(0, np.float32)
        return Linear(weight, bias, *(np.zeros(shape, np.float32) for shape in ((weight.shape[1], 0), (0, len(weight)))), ONE)
    inner = _linear(layer.linear)
    weight = inner.weight + inner.scale * (inner.a @ inner.b).T if inner.a.size else inner.weight
    return Linear(weight, inner.bias, _view(layer.lora_a), _view(layer.lora_b), np.float32(layer.scale))


def _view(x: mx.array) -> np.ndarray:
    return np.asarray(mx.contiguous(x))


def _angles(attention: nn.Module, half: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (cosines, sines) of the model's own rotations: what they make of the numbers (1, 0) at each place of a text."""
    ones = mx.concatenate([mx.ones((1, 1, length, half)), mx.zeros((1, 1, length, half))], axis=-1)
    cos, sin = mx.split(attention.rope(ones)[0, 0], 2, axis=-1)
    return _view(cos), _view(sin)


# ---- groups


def groups(lengths: Sequence[int]) -> list[list[int]]:
    """Return the groups of texts of these lengths, as indices: about equal in rows, an even number unless there is one text.

    Each text, the longest first, joins the group with the fewest rows. A group has about ROWS rows, or one text.
    """
    number = min(len(lengths), 2 * -(-sum(lengths) // (2 * ROWS)))
    found: list[list[int]] = [[] for _ in range(number)]
    sizes = [0] * number
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        least = sizes.index(min(sizes))
        found[least].append(index)
        sizes[least] += lengths[index]
    return [sorted(group) for group in found]


def on_cores(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return what `work` returns for each item. Each core takes the next one when it is free."""
    items = list(items)
    if len(items) == 1 or cores() == 1:
        return [work(item) for item in items]
    return list(_workers().map(work, items))


@cache
def _workers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores())


def rows_of(model: Llama, lengths: Sequence[int], pasts: Sequence[int] | None = None) -> Rows:
    """Return the rows of a group with texts of these lengths, after `pasts` tokens of each."""
    starts = np.cumsum([0, *lengths])
    places = [np.arange(past, past + n) for n, past in zip(lengths, pasts or [0] * len(lengths), strict=True)]
    return Rows(starts, np.concatenate(places), model.cos, model.sin)


# ---- memory


class Room:
    """Arrays that one thread uses again and again. Memory that is requested anew costs page faults."""

    def __init__(self) -> None:
        self._flat: dict[str, np.ndarray] = {}

    def __call__(self, name: str, *shape: int) -> np.ndarray:
        """Return the array of a name, with this shape and any numbers in it."""
        size = prod(shape)
        if name not in self._flat or self._flat[name].size < size:
            self._flat[name] = np.zeros(size, np.float32)
        return self._flat[name][:size].reshape(shape)


_own = local()


def room() -> Room:
    """Return the room of this thread."""
    if not hasattr(_own, "room"):
        _own.room = Room()
    return _own.room


def kept(model: Llama, block: Block, rows: Rows, weights: int, name: str) -> Kept:
    """Return room for what a block keeps of a group. weights: the number of attention weights. name: tells blocks apart."""
    t, d, f = len(rows.places), model.norm.size, len(block.gate.weight)
    heads, keys = len(block.q.weight), len(block.k.weight)
    shapes = {
        "x": (t, d),
        "normed": (t, d),
        "inverse": (t,),
        "q": (t, heads),
        "k": (t, keys),
        "v": (t, keys),
        "weights": (weights,),
        "attended": (t, heads),
        "middle": (t, d),
        "middle_normed": (t, d),
        "middle_inverse": (t,),
        "gate": (t, f),
        "up": (t, f),
        "product": (t, f),
        "low": (len(LINEARS), t, model.rank),
    }
    own = room()
    return Kept(**{key: own(f"{name}.{key}", *shape) for key, shape in shapes.items()})


def scratch(model: Llama, block: Block, rows: Rows) -> Scratch:
    """Return room for what is not kept of a group."""
    t, d, f = len(rows.places), model.norm.size, len(block.gate.weight)
    heads, keys = len(block.q.weight), len(block.k.weight)
    shapes = {
        "hidden": (t, d),
        "attended": (t, heads),
        "wide": (t, f),
        "low": (t, model.rank),
        "d_hidden": (t, d),
        "d_attended": (t, heads),
        "d_q": (t, heads),
        "d_k": (t, keys),
        "d_v": (t, keys),
        "d_product": (t, f),
        "d_gate": (t, f),
        "d_up": (t, f),
        "scores": (QUERIES * t,),
    }
    own = room()
    return Scratch(**{key: own(key, *shape) for key, shape in shapes.items()})
