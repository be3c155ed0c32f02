"""Words and runs of words, as every comparison of texts here counts them."""

import re
from collections.abc import Iterable
from hashlib import blake2b

TAG, WORD = re.compile(r"</?\w+>"), re.compile(r"\w+(?:['’]\w+)*")


def words(text: str) -> list[str]:
    """The words of a text in lower case, without tags and punctuation."""
    return WORD.findall(TAG.sub(" ", text).lower())


def runs(sequence: list[str], n: int) -> Iterable[str]:
    """Every run of n words that follow each other, as a text."""
    return map(" ".join, zip(*(sequence[start:] for start in range(n)), strict=False))


def shingles(told: list[str]) -> set[str]:
    """The runs of five words; of fewer words, all together."""
    return set(runs(told, 5)) or {" ".join(told)}


def fingerprint(told: list[str]) -> int:
    """64 bits that stand for these words."""
    return int.from_bytes(blake2b(" ".join(told).encode(), digest_size=8).digest(), "little")


def jaccard(one: set, other: set) -> float:
    """Share of what two sets have together that is in both."""
    return len(one & other) / len(one | other)
