"""Words and runs of words, as every comparison of texts here counts them."""

import re
from collections.abc import Iterable

TAG, WORD = re.compile(r"</?\w+>"), re.compile(r"\w+(?:['’]\w+)*")


def words(text: str) -> list[str]:
    """The words of a text in lower case, without tags and punctuation."""
    return WORD.findall(TAG.sub(" ", text).lower())


def runs(sequence: list[str], n: int) -> Iterable[str]:
    """Every run of n words that follow each other, as a text."""
    return map(" ".join, zip(*(sequence[start:] for start in range(n)), strict=False))


def shingles(text: str) -> set[str]:
    """The runs of five words in a text; of a shorter text, the whole."""
    told = words(text)
    return set(runs(told, 5)) or {" ".join(told)}


def jaccard(one: set, other: set) -> float:
    """Share of what two sets have together that is in both."""
    return len(one & other) / len(one | other)
