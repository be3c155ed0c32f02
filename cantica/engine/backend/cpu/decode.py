"""Continue texts token by token, in lanes: each goes on one core, with its own texts, and waits for no other."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from cantica.engine.backend.cores import on_cores
from cantica.engine.backend.cpu.model import ROWS, Llama
from cantica.engine.backend.cpu.text import Texts, logits

STREAMS = 48  # of a lane, at most
LEAST = 2  # lanes, if there are as many texts

Choose = Callable[[np.ndarray, list[int]], int]  # (logits V, the tokens chosen so far) to a token


@dataclass(eq=False)
class Stream:
    """A text that is continued: how its tokens are chosen, and those so far."""

    index: int  # of its prompt
    slot: int  # of its keys and values
    tokens: list[int] = field(default_factory=list)


def continue_texts(
    model: Llama,
    prompts: Sequence[list[int]],
    shared: int,
    choices: Sequence[Choose],
    stops: set[int],
    most: int,
    streams: int,
    on_end: Callable[[], None],
) -> list[list[int]]:
    """Return, for each prompt, the tokens chosen after it: `most` of them, or until one in `stops`, which is the last then.

    shared: the number of tokens with which all prompts begin; they are read once. choices: one for each prompt.
    streams: how many texts go on at a time. on_end: called when a text ends.
    """
    head = Texts(model, 1, shared)
    if shared:
        head.read([0], [prompts[0][:shared]])
    number = max(min(LEAST, streams, len(prompts)), -(-streams // STREAMS))
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
    found: list[list[int]] = [[] for _ in prompts]

    def work(lane: "Lane") -> None:
        for stream in lane.run(choices, stops, most):
            found[stream.index] = stream.tokens
            on_end()

    on_cores(work, [Lane(head, prompts, order[n::number], -(-streams // number), most) for n in range(number)])
    return found


class Lane:
    """Some prompts, of which a few are continued at a time. When one ends, the next takes its slot."""

    def __init__(self, head: Texts, prompts: Sequence[list[int]], order: list[int], streams: int, most: int) -> None:
        self._head, self._prompts, self._waiting = head, prompts, deque(order)
        self._free = list(range(min(streams, len(order))))
        self._longest = max(len(prompts[index]) for index in order) + most

    def run(self, choices: Sequence[Choose], stops: set[int], most: int) -> Iterator[Stream]:
        """Yield each text when it ends."""
        texts, live = Texts(self._head.model, len(self._free), self._longest), list[Stream]()
        while live or self._waiting:
            given = [stream.tokens[-1:] for stream in live]
            for stream, rest in self._started(texts):
                live.append(stream)
                given.append(rest)
            hidden = texts.read([stream.slot for stream in live], given)
            ends = np.cumsum([len(tokens) for tokens in given]) - 1
            for stream, row in zip(live, logits(texts.model, hidden[ends]), strict=True):
                stream.tokens.append(choices[stream.index](row, stream.tokens))
            ended = [stream for stream in live if stream.tokens[-1] in stops or len(stream.tokens) == most]
            live = [stream for stream in live if stream not in ended]
            self._free += [stream.slot for stream in ended]
            yield from ended

    def _started(self, texts: Texts) -> Iterator[tuple[Stream, list[int]]]:
        """Yield new texts in the free slots, with the tokens after the shared ones: about ROWS tokens in all."""
        read, shared = 0, self._head.lengths[0]
        while self._waiting and self._free and read < ROWS:
            stream = Stream(self._waiting.popleft(), self._free.pop())
            texts.copy(self._head, 0, stream.slot)
            rest = self._prompts[stream.index][shared:]
            read += len(rest)
            yield stream, rest
