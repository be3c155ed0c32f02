"""Waiting for processes."""

import os
import time


def wait_until(what) -> None:
    end = time.monotonic() + 300  # of a machine that is busy
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False
