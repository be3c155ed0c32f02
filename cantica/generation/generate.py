"""Batched generation, with one seed for each prompt."""

from collections.abc import Callable
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx_lm.generate import BatchGenerator
from mlx_lm.sample_utils import make_repetition_penalty
from mlx_lm.tokenizer_utils import TokenizerWrapper

from cantica.engine.backend.device import on_compiled_blocks
from cantica.generation.prefix import caches_after, common_start

REPEATED = 64  # the repetition penalty applies to this many of the last tokens of a reply

Written = tuple[list[int], bool]  # the tokens of a reply, and whether the model stopped by itself
LogitsProcessor = Callable[[mx.array, mx.array], mx.array]  # (tokens so far, logits (1, V)) to logits (1, V)


@dataclass(frozen=True)
class Reply:
    """A generated text, its number of tokens, and whether the model stopped by itself, before the token limit."""

    text: str
    tokens: int
    ended: bool


class Sampler:
    """Chooses the tokens of one reply, with its own random state: they do not depend on the other prompts of a batch."""

    def __init__(self, temperature: float, top_p: float, seed: int) -> None:
        """Temperature 0 is greedy. As in mlx-lm, top_p applies to the probabilities before the temperature."""
        self._temperature, self._top_p, self._rng = np.float32(temperature), top_p, np.random.default_rng(seed)

    def __call__(self, logprobs: mx.array) -> mx.array:
        """Return the token (1,) for log-probabilities (1, V), for mlx-lm."""
        if self._temperature == 0:
            return mx.argmax(logprobs, axis=-1)
        return mx.array([self.choose(np.array(logprobs[0].astype(mx.float32)))], mx.uint32)

    def choose(self, logits: np.ndarray) -> int:
        """Return the token for logits V.

        Exponentials are computed in float32: in float64, NumPy's results differ in the last digit between processors with and
        without AVX-512.
        """
        if self._temperature == 0:
            return int(logits.argmax())
        kept = nucleus(_logprobs(logits), self._top_p) if self._top_p < 1 else np.arange(len(logits))
        weights = np.cumsum(np.exp((logits[kept] - logits.max()) / self._temperature), dtype=np.float64)
        return int(kept[np.searchsorted(weights, self._rng.random() * weights[-1], side="right")])


def _logprobs(logits: np.ndarray) -> np.ndarray:
    most = logits.max()
    return logits - (most + np.log(np.exp(logits - most).sum()))


def nucleus(logprobs: np.ndarray, top_p: float) -> np.ndarray:
    """Return the nucleus: the fewest tokens whose probabilities add up to top_p (Holtzman et al., 2020), likeliest first.

    logprobs: (V,). To save time, only the tokens near the likeliest are sorted; if their sum is below top_p, the range doubles.
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
    tokenizer: TokenizerWrapper,
    prompts: list[list[int]],
    samplers: list[Sampler],
    max_tokens: int,
    batch_size: int,
    on_reply: Callable[[], None],
    repetition_penalty: float = 1.0,
) -> list[Reply]:
    """Return one reply per prompt, in the order of the prompts.

    prompts: lists of token ids. on_reply: called when a reply ends. repetition_penalty: positive logits of the last REPEATED
    tokens of the reply are divided by it, negative ones are multiplied (Keskar et al., 2019, arXiv:1909.05858); 1 means none.

    The common start of all prompts is computed once. Prompts of similar length share a batch. When a reply ends, the next
    prompt takes its place in the batch.
    """
    model.eval()
    write = _by_blocks if on_compiled_blocks(model) else _by_mlx
    written = write(model, tokenizer, prompts, samplers, max_tokens, batch_size, on_reply, repetition_penalty)
    return [Reply(tokenizer.decode(tokens), len(tokens), ended) for tokens, ended in written]


def _by_blocks(
    model: nn.Module,
    tokenizer: TokenizerWrapper,
    prompts: list[list[int]],
    samplers: list[Sampler],
    max_tokens: int,
    batch_size: int,
    on_reply: Callable[[], None],
    repetition_penalty: float,
) -> list[Written]:
    """Do what `generate` does with the compiled blocks."""
    from cantica.engine.backend.cpu.decode import continue_texts
    from cantica.engine.backend.cpu.model import llama

    def chooser(sampler: Sampler) -> Callable[[np.ndarray, list[int]], int]:
        return lambda logits, tokens: sampler.choose(_penalized(logits, tokens[-REPEATED:], repetition_penalty))

    own, shared = llama(model, max(map(len, prompts)) + max_tokens), len(common_start([prompt[:-1] for prompt in prompts]))
    stops, choices = set(tokenizer.eos_token_ids), [chooser(sampler) for sampler in samplers]
    found = continue_texts(own, prompts, shared, choices, stops, max_tokens, batch_size, on_reply)
    return [(tokens[:-1], True) if tokens[-1] in stops else (tokens, False) for tokens in found]


def _penalized(logits: np.ndarray, tokens: list[int], penalty: float) -> np.ndarray:
    if penalty != 1 and tokens:
        some = logits[tokens]
        logits[tokens] = np.where(some < 0, some * np.float32(penalty), some / np.float32(penalty))
    return logits


def _by_mlx(
    model: nn.Module,
    tokenizer: TokenizerWrapper,
    prompts: list[list[int]],
    samplers: list[Sampler],
    max_tokens: int,
    batch_size: int,
    on_reply: Callable[[], None],
    repetition_penalty: float,
) -> list[Written]:
    """Do what `generate` does with mlx-lm."""
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
    written = _run(batch, uids, on_reply)
    of = dict(zip(order, uids, strict=True))
    return [written[of[i]] for i in range(len(prompts))]


def _run(batch: BatchGenerator, uids: list[int], on_reply: Callable[[], None]) -> dict[int, Written]:
    """Run a batch to its end. Return {uid of a prompt: (tokens of its reply, whether the model stopped by itself)}."""
    tokens: dict[int, list[int]] = {uid: [] for uid in uids}
    ended: dict[int, bool] = {}
    while steps := batch.next_generated():
        for step in steps:
            if step.finish_reason != "stop":
                tokens[step.uid].append(step.token)
            if step.finish_reason is not None:
                ended[step.uid] = step.finish_reason == "stop"
                on_reply()
    batch.close()
    return {uid: (tokens[uid], ended[uid]) for uid in uids}


def _penalties(penalty: float, before: int) -> list[LogitsProcessor]:
    """Return the logits processors for one reply. before: how many prompt tokens come before it, which are not penalized."""
    if penalty == 1:
        return []
    penalize = make_repetition_penalty(penalty, REPEATED)
    return [lambda tokens, logits: penalize(tokens[before:], logits)]
