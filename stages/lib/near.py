"""Records that are alike, found without comparing every pair: MinHash signatures in bands (Broder 1997; Leskovec,
Rajaraman and Ullman, Mining of Massive Datasets, chapter 3). What is kept for each record lies on disk.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

SIGNATURE, ROWS = 256, 2
BANDS = SIGNATURE // ROWS
BLOCK, BUCKET = 1024, 1 << 17  # records signed, and sorted, at a time
SEED = 1


class Signatures:
    """MinHash signatures and band keys of `size` records, in files of a scratch folder.

    Two records whose shingles have Jaccard similarity s share a band with probability 1 - (1 - s²)^128: 0.995 at 0.2,
    and more than 0.9999999 at 0.5. The standard error of an estimated similarity is at most 0.031.
    """

    def __init__(self, folder: Path, size: int):
        self.size, self.filled, self.waiting = size, 0, []
        self.rows = np.memmap(folder / "signatures", np.uint32, "w+", shape=(max(size, 1), SIGNATURE))
        self.keys = np.memmap(folder / "bands", np.uint64, "w+", shape=(BANDS, max(size, 1)))

    def add(self, shingles: set[str]) -> None:
        """Sign the next record."""
        self.waiting.append(list(shingles))
        if len(self.waiting) == BLOCK or self.filled + len(self.waiting) == self.size:
            from rensa import RMinHash

            signed = RMinHash.digests_from_token_sets(self.waiting, num_perm=SIGNATURE, seed=SEED)
            block = np.asarray(signed, np.uint32)
            place = slice(self.filled, self.filled + len(block))
            self.rows[place] = block
            self.keys[:, place] = block.view(np.uint64).T
            self.filled, self.waiting = place.stop, []

    def alike(self, threshold: float, split: int | None = None) -> Iterator[tuple[int, int]]:
        """Pairs (earlier, later) whose estimated similarity is at least `threshold`, each once.

        Of records that are all alike, each is paired with the one before. With `split`, only pairs of one record before
        that number and one from it on count.
        """
        seen: set[tuple[int, int]] = set()
        for band in range(BANDS):
            for group in equal_groups(self.keys[band]):
                pairs = _across(group, split) if split is not None else np.stack([group[:-1], group[1:]], 1)
                for start in range(0, len(pairs), 1 << 15):
                    some = pairs[start : start + (1 << 15)]
                    same = (self.rows[some[:, 0]] == self.rows[some[:, 1]]).mean(1)
                    for pair in map(tuple, some[same >= threshold].tolist()):
                        if pair not in seen:
                            seen.add(pair)
                            yield pair


def _across(group: np.ndarray, split: int) -> np.ndarray:
    before, after = group[group < split], group[group >= split]
    if not len(before) or not len(after):
        return np.empty((0, 2), np.int64)
    # Each of the later with a few of the earlier, and each of the earlier with one of the later.
    few = before[:4]
    return np.concatenate(
        [
            np.stack([np.tile(few, len(after)), np.repeat(after, len(few))], 1),
            np.stack([before, np.resize(after, len(before))], 1),
        ]
    )


def equal_groups(keys: np.ndarray) -> Iterator[np.ndarray]:
    """Indices, in order, of each group of two or more equal keys; a bucket of the keys is sorted at a time."""
    buckets = len(keys) // BUCKET + 1
    for bucket in range(buckets):
        chosen = np.flatnonzero(keys % np.uint64(buckets) == bucket) if buckets > 1 else np.arange(len(keys))
        ordered = chosen[np.argsort(keys[chosen], kind="stable")]
        values = keys[ordered]
        (same,) = np.nonzero(values[1:] == values[:-1])
        if len(same):
            for run in np.split(same, np.flatnonzero(np.diff(same) > 1) + 1):
                yield ordered[run[0] : run[-1] + 2]
