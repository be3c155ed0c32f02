"""Batched, seeded generation."""

import hashlib
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.generate import BatchGenerator
from mlx_lm.sample_utils import apply_top_p


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

    What a prompt draws does not hang on which other prompts share its batch. Temperature 0 is greedy.
    """
    if temperature == 0:
        return lambda logprobs: mx.argmax(logprobs, axis=-1)
    state = mx.random.key(seed)

    def sample(logprobs: mx.array) -> mx.array:
        nonlocal state
        state, key = mx.random.split(state)
        kept = apply_top_p(logprobs, top_p) if top_p < 1 else logprobs
        return mx.random.categorical(kept / temperature, key=key)

    return sample


def generate(model: nn.Module, tokenizer, prompts: list[list[int]], samplers: list, max_tokens: int, batch_size: int, on_reply):
    """Replies to prompts (lists of token ids), in the order of the prompts; `on_reply()` is called as each one ends.

    Prompts of like length are worked on together, and a stream that ends makes room for the next.
    """
    model.eval()
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
    batch = BatchGenerator(
        model,
        stop_tokens=[[token] for token in tokenizer.eos_token_ids],
        completion_batch_size=batch_size,
        prefill_batch_size=min(8, batch_size),
    )
    uids = batch.insert([prompts[i] for i in order], [max_tokens] * len(order), samplers=[samplers[i] for i in order])
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
