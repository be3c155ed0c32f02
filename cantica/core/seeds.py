"""Derive seeds of random generators from names."""

import hashlib


def seed_of(*names: object) -> int:
    """Return a 32-bit seed that depends only on the names."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, names)).encode()).digest()[:4], "big")
