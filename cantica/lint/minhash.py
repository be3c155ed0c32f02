"""Find similar records without comparing every pair, with MinHash signatures in bands (Broder 1997; Leskovec, Rajaraman
and Ullman, Mining of Massive Datasets, chapter 3). The signatures are kept on disk.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

SIGNATURE = 256  # hashes per record
ROWS = 2  # hashes per band
BANDS = SIGNATURE // ROWS
BLOCK = 1024  # records to sign at a time
BUCKET = 1 << 17  # records to sort at a time
PAIRS = 1 << 15  # pairs to compare at a time
SEED = 1


class Signatures:
    """MinHash signatures and band keys of `size` records, in files in a temporary folder.

    Two records whose shingles have Jaccard similarity s share a band with probability 1 - (1 - s²)^128: 0.995 at 0.2,
    and more than 0.9999999 at 0.5. The standard error of an estimated similarity is at most 0.031.
    """

    def __init__(self, folder: Path, size: int):
        self.size, self.filled = size, 0
        self.waiting: list[list[str]] = []
        self.rows = np.memmap(folder / "signatures", np.uint32, "w+", shape=(max(size, 1), SIGNATURE))
        self.keys = np.memmap(folder / "bands", np.uint64, "w+", shape=(BANDS, max(size, 1)))

    def add(self, shingles: set[str]) -> None:
        """Add the next record."""
        self.waiting.append(list(shingles))
        if len(self.waiting) == BLOCK or self.filled + len(self.waiting) == self.size:
            from rensa import RMinHash

            signed = RMinHash.digests_from_token_sets(self.waiting, num_perm=SIGNATURE, seed=SEED)
            block = np.asarray(signed, np.uint32)
            place = slice(self.filled, self.filled + len(block))
            self.rows[place] = block
            self.keys[:, place] = block.view(np.uint64).T
            self.filled, self.waiting = place.stop, []

    def similar(self, threshold: float, split: int | None = None) -> Iterator[tuple[int, int]]:
        """Yield, once, each pair (earlier, later) whose estimated similarity is at least `threshold`.

        In each band, a record is compared with one other record of the same key: the one before it. With `split`, only
        records from number `split` on are compared, each with the last record before `split`.
        """
        seen: set[tuple[int, int]] = set()
        for band in range(BANDS):
            for places, keys in _buckets(self.keys[band]):
                pairs = _neighbours(places, keys) if split is None else _across(places, keys, split)
                for start in range(0, len(pairs), PAIRS):
                    some = pairs[start : start + PAIRS]
                    same = (self.rows[some[:, 0]] == self.rows[some[:, 1]]).mean(1)
                    for earlier, later in some[same >= threshold].tolist():
                        pair = (earlier, later)
                        if pair not in seen:
                            seen.add(pair)
                            yield pair


def _neighbours(places: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return pairs (N, 2): each record with the record before it that has the same key."""
    same = keys[1:] == keys[:-1]
    return np.stack([places[:-1][same], places[1:][same]], 1)


def _across(places: np.ndarray, keys: np.ndarray, split: int) -> np.ndarray:
    """Return pairs (N, 2): each record from `split` on with the last record before `split` that has the same key."""
    here = np.arange(len(places))
    first = np.maximum.accumulate(np.where(np.r_[True, keys[1:] != keys[:-1]], here, 0))
    last = np.maximum.accumulate(np.where(places < split, here, -1))
    chosen = (places >= split) & (last >= first)
    return np.stack([places[last[chosen]], places[chosen]], 1)


def _buckets(keys: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (places, keys) of each bucket of keys, sorted by key and then by place.

    Equal keys are in the same bucket.
    """
    buckets = len(keys) // BUCKET + 1
    for bucket in range(buckets):
        places = np.flatnonzero(keys % np.uint64(buckets) == bucket) if buckets > 1 else np.arange(len(keys))
        places = places[np.argsort(keys[places], kind="stable")]
        yield places, keys[places]


def equal_groups(keys: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the places, in order, of each group of two or more equal keys."""
    for places, values in _buckets(keys):
        (same,) = np.nonzero(values[1:] == values[:-1])
        if len(same):
            for run in np.split(same, np.flatnonzero(np.diff(same) > 1) + 1):
                yield places[run[0] : run[-1] + 2]
