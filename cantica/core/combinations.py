"""Iterate over all combinations of one value per slot.

Each combination occurs once, and the values of a slot occur equally often. Combinations are not stored in memory.
"""

import itertools
import math
import random
from collections.abc import Callable, Iterator

PATIENCE = 1_000_000  # the search ends after this many refused combinations in a row


def combinations(slots: dict[str, list], allowed: Callable[[dict], bool], seed: str) -> Iterator[dict]:
    """Yield every allowed combination of one value per slot, in an order that the seed determines.

    All slots advance together through their shuffled values, so among n combinations in a row, each value of a slot with
    k values occurs n/k times. When this cycle returns to its start, one slot is shifted by one value, and so on. In terms
    of group theory, each set of shifts is one coset of the diagonal of a product of cyclic groups, so no combination is
    repeated or left out.
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
