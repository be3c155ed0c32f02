"""Combinations of one value per slot: each occurs once, all values of a slot equally often, and none is kept in memory."""

import itertools
import math
import random
from collections.abc import Callable, Iterator

PATIENCE = 1_000_000  # combinations in a row that `allowed` may refuse before the search ends


def combinations(slots: dict[str, list], allowed: Callable[[dict], bool], seed: str) -> Iterator[dict]:
    """Yield every allowed combination of one value per slot, in an order that follows from the seed.

    All slots advance together through their shuffled values, so n combinations in a row use each value of a slot with
    k values n/k times. When this cycle returns to its start, one slot is shifted by one value, and so on. The shifts
    number the cosets of the diagonal in the product of cyclic groups, so no combination is repeated or left out.
    """
    shuffled = {slot: random.Random(f"{seed}/{slot}").sample(values, len(values)) for slot, values in slots.items()}
    shifts, cycle = [], 1
    for values in shuffled.values():
        shifts.append(math.gcd(cycle, len(values)))
        cycle = math.lcm(cycle, len(values))
    refused = 0
    for shift_of in itertools.product(*map(range, shifts)):
        for number in range(cycle):
            chosen = {
                slot: values[(number + shift) % len(values)]
                for (slot, values), shift in zip(shuffled.items(), shift_of, strict=True)
            }
            if allowed(chosen):
                refused = 0
                yield chosen
            elif (refused := refused + 1) > PATIENCE:
                return
