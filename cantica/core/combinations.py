"""Combinations of slot values: each once, every value as often as any other, and none kept in memory."""

import itertools
import math
import random
from collections.abc import Callable, Iterator

PATIENCE = 1_000_000  # combinations that `allowed` may refuse in a row before the rest is given up


def combinations(slots: dict[str, list], allowed: Callable[[dict], bool], seed: str) -> Iterator[dict]:
    """Every allowed combination of one value a slot, in an order that the seed decides.

    All slots step on together through their shuffled values, so that n combinations in a row use each value of a slot
    with k values n/k times. When that comes round to its start, one slot is turned by a step, and so on: the turns
    number the cosets of the diagonal in the product of cyclic groups, so nothing comes twice and nothing is left out.
    """
    shuffled = {slot: random.Random(f"{seed}/{slot}").sample(values, len(values)) for slot, values in slots.items()}
    turns, cycle = [], 1
    for values in shuffled.values():
        turns.append(math.gcd(cycle, len(values)))
        cycle = math.lcm(cycle, len(values))
    refused = 0
    for turn in itertools.product(*map(range, turns)):
        for number in range(cycle):
            chosen = {
                slot: values[(number + shift) % len(values)]
                for (slot, values), shift in zip(shuffled.items(), turn, strict=True)
            }
            if allowed(chosen):
                refused = 0
                yield chosen
            elif (refused := refused + 1) > PATIENCE:
                return
