"""What around the training costs: padding, an empty `dvc repro`, and what each stage took."""

import json
import statistics
import subprocess
import time
from itertools import groupby
from pathlib import Path

from stages.lib.batches import collate, order

TIMINGS = Path(".cache/timings.jsonl")


def padding(datasets: list[list], batch_size: int, seed: int) -> float:
    """The share of the positions of one epoch that hold no token; `datasets` are lists of Encoded records."""
    positions = tokens = 0
    for records in datasets:
        for indices in order([len(record.ids) for record in records], batch_size, [seed, 0]):
            batch = [records[i] for i in indices]
            positions += collate(batch)[0].size
            tokens += sum(len(record.ids) - 1 for record in batch)
    return 1 - tokens / positions


def empty_repro(times: int) -> tuple[float, int] | None:
    """(median seconds of a `dvc repro` that has nothing to do, its stages), or None where it would have something to do."""
    if subprocess.run(["dvc", "status", "--quiet"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        return None
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        done = subprocess.run(["dvc", "repro"], capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds), done.stdout.count("didn't change")


def stages() -> list[dict]:
    """Of each kind of stage how often it stands in the build, the seconds of all together, and the largest peak."""
    if not TIMINGS.exists():
        return []
    last = {record["stage"]: record for record in map(json.loads, TIMINGS.read_text().splitlines())}
    kinds = groupby(sorted(last.values(), key=lambda record: record["stage"]), lambda record: record["stage"].split("@")[0])
    rows = []
    for kind, found in ((kind, list(records)) for kind, records in kinds):
        sums = {key: round(sum(record[key] for record in found), 1) for key in ("seconds", "cpu_seconds")}
        rows.append({"stage": kind, "runs": len(found)} | sums | {"peak_mb": max(record["peak_mb"] for record in found)})
    return sorted(rows, key=lambda row: -row["seconds"])
