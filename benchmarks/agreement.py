"""Check that the programs that are compared compute the same: losses, gradients, bytes.

The functions take clients of the workers, the base model's folder, the folder that `Ours.prepare` wrote, and the number of
adapted blocks.
"""

from pathlib import Path

import numpy as np

from benchmarks.peers.client import Client
from cantica.engine.batches import order


def losses(
    ours: Client, stock: Client, base: Path, prepared: Path, blocks: int, records: list, settings: dict, in_pieces: bool = False
) -> list[tuple]:
    """(our loss, the loss of mlx-lm's trainer) for each iteration. `in_pieces` is an argument of `Stock.train`."""
    batches = order([len(record["ids"]) for record in records], settings["batch_size"], [settings["seed"], 0])
    ordered = [records[i] for indices in batches for i in indices]
    ours("load", base=str(base), adapter=str(prepared / f"{blocks}"))
    stock("load", base=str(prepared / "base"), adapter=str(prepared / f"{blocks}"))
    mine = ours("train", records=records, settings=settings)
    theirs = stock("train", records=ordered, settings=settings, in_pieces=in_pieces)
    return list(zip(mine["losses"], theirs["losses"], strict=True))


def gradient_errors(
    ours: Client, float64: Client, base: Path, prepared: Path, blocks: int, records: list
) -> tuple[float, float]:
    """(error of our gradient, relative to its length in float64; the largest error in a tensor, relative to its maximum)."""
    read = []
    for client, weights, name in ((ours, base, "ours"), (float64, prepared / "base", "float64")):
        client("load", base=str(weights), adapter=str(prepared / f"{blocks}"))
        client("gradients", records=records, file=str(prepared / f"{name}.npz"))
        with np.load(prepared / f"{name}.npz") as tensors:
            read.append({name: np.array(tensor, np.float64) for name, tensor in tensors.items()})
    found, exact = read
    assert found.keys() == exact.keys()
    off = {name: found[name] - exact[name] for name in exact}
    length, far = (np.sqrt(sum((tensor**2).sum() for tensor in tree.values())) for tree in (exact, off))
    return float(far / length), max(float(np.abs(off[name]).max() / np.abs(exact[name]).max()) for name in exact)


def digest(ours: Client, base: Path, prepared: Path, blocks: int, records: list, settings: dict) -> str:
    """SHA-256 of the adapter after training."""
    ours("load", base=str(base), adapter=str(prepared / f"{blocks}"), dropout=settings["dropout"])
    ours("train", records=records, settings=settings)
    return ours("digest")
