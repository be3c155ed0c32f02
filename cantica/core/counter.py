"""Show the progress of a long stage: a bar in a terminal, otherwise one line after each quarter."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def counter(name: str, total: int) -> Iterator[Callable[[], None]]:
    """Yield a function. Call it each time one of the `total` items is done."""
    if sys.stdout.isatty():
        from rich.progress import Progress

        with Progress() as progress:
            task = progress.add_task(name, total=total)
            yield lambda: progress.advance(task)
        return
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        if done == total or done % max(1, total // 4) == 0:
            print(f"{name}: {done} of {total}", flush=True)

    yield advance
