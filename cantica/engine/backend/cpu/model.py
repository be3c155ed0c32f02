"""A Llama of mlx-lm, run by the compiled blocks on all cores. Its weights are MLX's own arrays, not copies."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from threading import local
from typing import cast

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from cantica.engine.backend.cpu.attention import QUERIES, weights_of
from cantica.engine.backend.cpu.block import LINEARS, Block, Kept, Rows, Scratch
from cantica.engine.backend.cpu.linear import Linear
from cantica.engine.backend.cpu.narrow import Codes, none

PLACES = {name: f"{'self_attn' if name in 'qkvo' else 'mlp'}.{name}_proj" for name in LINEARS}
ROWS = 256  # rows of a group, unless one text is longer


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
    codes: Codes  # of the head, if it is quantized

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
    codes = _codes(model.lm_head if "lm_head" in model else model.model.embed_tokens, _view(head))
    norm = _view(model.model.norm.weight)
    return Llama(_view(tokens), blocks, norm, _view(head), cos, sin, next(adapted, len(blocks)), codes)


def with_lora(own: Llama, model: nn.Module) -> Llama:
    """Return the same arrays, but the model's LoRA tensors of now."""
    found = list(own.blocks)
    for n in range(own.adapted, len(found)):
        changed = {}
        for name in LINEARS:
            if (layer := getattr(found[n], name)).a.size:
                new = _at(model.layers[n], PLACES[name])
                changed[name] = layer._replace(a=_view(new.lora_a), b=_view(new.lora_b))
        found[n] = found[n]._replace(**changed)
    return replace(own, blocks=found)


def _block(block: nn.Module) -> Block:
    layers = {name: _linear(_at(block, PLACES[name])) for name in LINEARS}
    norm, middle_norm = (_view(norm.weight) for norm in (block.input_layernorm, block.post_attention_layernorm))
    own, eps = block.self_attn, np.float32(block.input_layernorm.eps)
    size, scale = len(layers["q"].weight) // own.n_heads, np.float32(own.scale)
    q_norm, k_norm = (_view(own[name].weight) if name in own else np.zeros(0, np.float32) for name in ("q_norm", "k_norm"))
    return Block(norm, middle_norm, q_norm, k_norm, eps, own.n_heads, size, scale, *(layers[name] for name in LINEARS))


def _at(block: nn.Module, place: str) -> nn.Module:
    """Return the layer of a block at a path such as `mlp.up_proj`."""
    part, name = place.split(".")
    return cast(nn.Module, block[part][name])


def _linear(layer: nn.Module) -> Linear:
    """Return the arrays of a layer. Frozen LoRA tensors become a part of its weights."""
    if "lora_a" not in layer:
        weight, bias = _view(layer.weight), _view(layer.bias) if "bias" in layer else np.zeros(0, np.float32)
        a, b = np.zeros((weight.shape[1], 0), np.float32), np.zeros((0, len(weight)), np.float32)
        return Linear(weight, _codes(layer, weight), bias, a, b, np.float32(1))
    inner, a, b, scale = _linear(layer.linear), _view(layer.lora_a), _view(layer.lora_b), np.float32(layer.scale)
    if "lora_a" in layer._no_grad:
        weight = inner.weight + scale * (a @ b).T
        return inner._replace(weight=weight, codes=none(weight.shape[1]))
    return inner._replace(a=a, b=b, scale=scale)


def _codes(layer: nn.Module, weight: np.ndarray) -> Codes:
    return cast(Codes, layer.codes.own if hasattr(layer, "codes") else none(weight.shape[1]))


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


def kept(model: Llama, rows: Rows, name: str, weights: int | None = None) -> Kept:
    """Return room for what a block keeps of a group. name: tells blocks apart. weights: the number of attention weights."""
    t, d, heads, keys, f = _sizes(model, rows)
    shapes = {
        "x": (t, d),
        "normed": (t, d),
        "inverse": (t,),
        "q": (t, heads),
        "k": (t, keys),
        "v": (t, keys),
        "weights": (weights or weights_of(np.diff(rows.starts).tolist(), model.blocks[0].heads),),
        "attended": (t, heads),
        "middle": (t, d),
        "middle_normed": (t, d),
        "middle_inverse": (t,),
        "gate": (t, f),
        "up": (t, f),
        "product": (t, f),
        "low": (len(LINEARS), t, model.rank),
        "plain_q": (t, heads if model.blocks[0].q_norm.size else 0),
        "plain_k": (t, keys if model.blocks[0].k_norm.size else 0),
        "q_inverse": (t * heads,),
        "k_inverse": (t * keys,),
    }
    own = room()
    return Kept(**{key: own(f"{name}.{key}", *shape) for key, shape in shapes.items()})


def scratch(model: Llama, rows: Rows) -> Scratch:
    """Return room for what is not kept of a group."""
    t, d, heads, keys, f = _sizes(model, rows)
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


def _sizes(model: Llama, rows: Rows) -> tuple[int, int, int, int, int]:
    """Return the numbers of rows and of columns: of hidden states, queries, keys, and the feed-forward layer."""
    block = model.blocks[0]
    return len(rows.places), model.norm.size, len(block.q.weight), len(block.k.weight), len(block.gate.weight)
