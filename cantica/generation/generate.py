"""Batched, seeded generation."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx_lm.generate import BatchGenerator
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.sample_utils import make_repetition_penalty

REPEATED = 64  # tokens that a repetition penalty looks back over


@dataclass(frozen=True)
class Reply:
    """What a model wrote: its text, how many tokens that took, and whether it ended by itself."""

    text: str
    tokens: int
    ended: bool


def seed_of(*names) -> int:
    """A 32-bit seed that is a function of the names alone."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, names)).encode()).digest()[:4], "big")


def make_sampler(temperature: float, top_p: float, seed: int):
    """A function from log-probabilities (1, vocabulary) to a token (1,), with a random state of its own.

    What a prompt draws does not hang on which other prompts share its batch. Temperature 0 is greedy; top_p is of the
    probabilities before the temperature, as in mlx-lm. Powers are taken in float32: NumPy's of float64 differ in their last
    digit between processors with AVX-512 and without.
    """
    if temperature == 0:
        return _greedy
    draw = np.random.default_rng(seed)

    def sample(logprobs: mx.array) -> mx.array:
        row = np.array(logprobs[0].astype(mx.float32))
        kept = nucleus(row, top_p)
        weights = np.cumsum(np.exp((row[kept] - row[kept[0]]) / np.float32(temperature)), dtype=np.float64)
        place = np.searchsorted(weights, draw.random() * weights[-1], side="right")
        return mx.array(kept[[place]].astype(np.uint32))

    return sample


def _greedy(logprobs: mx.array) -> mx.array:
    return mx.argmax(logprobs, axis=-1)


def nucleus(logprobs: np.ndarray, top_p: float) -> np.ndarray:
    """The fewest most probable tokens whose probability together reaches top_p (Holtzman et al., 2020), the likeliest first.

    logprobs: (vocabulary,). Only tokens near the likeliest are sorted, and more of them where those do not reach top_p.
    """
    reach = np.float32(4.0)
    while True:
        near = np.flatnonzero(logprobs >= logprobs.max() - reach)
        near = near[np.argsort(-logprobs[near], kind="stable")]
        mass = np.cumsum(np.exp(logprobs[near]), dtype=np.float64)
        if len(near) == len(logprobs) or mass[-1] >= top_p:
            return near[: np.searchsorted(mass, top_p) + 1]
        reach *= 2


def generate(
    model: nn.Module,
    tokenizer,
    prompts: list[list[int]],
    samplers: list,
    max_tokens: int,
    batch_size: int,
    on_reply: Callable[[], None],
    repetition_penalty: float = 1.0,
) -> list[Reply]:
    """Replies to prompts (lists of token ids), in the order of the prompts; `on_reply()` is called as each one ends.

    repetition_penalty: divides the positive logits of the last REPEATED tokens of the reply and multiplies the negative ones
    (Keskar et al., 2019, arXiv:1909.05858); 1 for none.

    What all prompts begin with is computed once. Prompts of like length are worked on together, and a stream that ends makes
    room for the next.
    """
    model.eval()
    head = common_start([prompt[:-1] for prompt in prompts])
    shared = caches_after(model, head)
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
    batch = BatchGenerator(
        model,
        stop_tokens=[[token] for token in tokenizer.eos_token_ids],
        completion_batch_size=batch_size,
        prefill_batch_size=min(8, batch_size),
    )
    uids = batch.insert(
        [prompts[i][len(head) :] for i in order],
        [max_tokens] * len(order),
        caches=[shared] * len(order),
        samplers=[samplers[i] for i in order],
        logits_processors=[_penalties(repetition_penalty, len(prompts[i]) - len(head)) for i in order],
    )
    tokens = {uid: [] for uid in uids}
    ended = {}
    while responses := batch.next_generated():
        for response in responses:
            if response.finish_reason != "stop":
                tokens[response.uid].append(response.token)
            if response.finish_reason is not None:
                ended[response.uid] = response.finish_reason == "stop"
                on_reply()
    batch.close()
    replies = {
        i: Reply(tokenizer.decode(tokens[uid]), len(tokens[uid]), ended[uid]) for i, uid in zip(order, uids, strict=True)
    }
    return [replies[i] for i in range(len(prompts))]


def _penalties(penalty: float, before: int) -> list:
    """The logits processors of a stream whose first `before` tokens are a prompt."""
    if penalty == 1:
        return []
    penalize = make_repetition_penalty(penalty, REPEATED)
    return [lambda tokens, logits: penalize(tokens[before:], logits)]


def common_start(texts: list[list[int]]) -> list[int]:
    """The tokens that all texts begin with."""
    length = next((n for n, column in enumerate(zip(*texts, strict=False)) if len(set(column)) > 1), min(map(len, texts)))
    return texts[0][:length]


def caches_after(model: nn.Module, tokens: list[int]) -> list:
    """What a model remembers of a text, a cache for each block; of no text, empty ones."""
    caches = make_prompt_cache(model)
    if tokens:
        model(mx.array([tokens]), cache=caches)
        mx.eval([cache.state for cache in caches])
    return caches
