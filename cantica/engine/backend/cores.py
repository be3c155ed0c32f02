"""The processor cores, and work on all of them."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def on_cores(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return what `work` returns for each item. Each core takes the next one when it is free."""
    items = list(items)
    if len(items) == 1 or cores() == 1:
        return [work(item) for item in items]
    return list(_workers().map(work, items))


@cache
def _workers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores())
