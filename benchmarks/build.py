"""The costs around training: padding, an empty `dvc repro`, and the time of each stage."""

import statistics
import subprocess
import time
from itertools import groupby

from cantica.commands.timings import read_timings
from cantica.engine.batches import collate, order

# Stages that train, evaluate or measure a model.
MODEL = {"train", "measure", "measure_base", "respond", "probe", "capability", "verdict"}


def padding(datasets: list[list], batch_size: int, seed: int) -> float:
    """The share of padding in the positions of one epoch; `datasets` are lists of Encoded records."""
    positions = tokens = 0
    for records in datasets:
        for indices in order([len(record.ids) for record in records], batch_size, [seed, 0]):
            batch = [records[i] for i in indices]
            positions += collate(batch)[0].size
            tokens += sum(len(record.ids) - 1 for record in batch)
    return 1 - tokens / positions


def empty_repro(times: int) -> tuple[float, int] | None:
    """(median seconds of a `dvc repro` with nothing to do, its number of stages), or None if a stage has to run."""
    if subprocess.run(["dvc", "status", "--quiet"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        return None
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        done = subprocess.run(["dvc", "repro"], capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds), done.stdout.count("didn't change")


def around_a_stage(names: list[str]) -> float:
    """Seconds that one more stage costs in addition to its own time: DVC's records, and the start of a process.

    `names` are stages that take almost no time. They run again: first one alone, then all in one build.
    """
    one, all_ = (_forced(targets) for targets in (names[:1], names))
    own = sum(_last()[name]["seconds"] for name in names[1:])
    return max(0.0, (all_ - one - own) / (len(names) - 1))


def _forced(targets: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(["dvc", "repro", "--force", "--single-item", *targets], capture_output=True, check=True)
    return time.perf_counter() - begin


def _last() -> dict[str, dict]:
    """The last record of each stage."""
    return {record["stage"]: record for record in read_timings()}


def stages(around: float | None = None) -> list[dict]:
    """For each kind of stage: the number of runs, the seconds of all runs, their share, and the highest peak memory.

    around: the seconds that each stage costs in addition to its own time. With it, there is a row for them.
    """
    kinds = groupby(sorted(_last().values(), key=lambda record: record["stage"]), lambda record: record["stage"].split("@")[0])
    rows = []
    for kind, found in ((kind, list(records)) for kind, records in kinds):
        sums = {key: round(sum(record[key] for record in found), 1) for key in ("seconds", "cpu_seconds")}
        rows.append({"stage": kind, "runs": len(found)} | sums | {"peak_mb": max(record["peak_mb"] for record in found)})
    if rows and around is not None:
        runs = sum(row["runs"] for row in rows)
        rows.append(
            {"stage": "around them", "runs": runs, "seconds": round(around * runs, 1), "cpu_seconds": "", "peak_mb": ""}
        )
    whole = sum(row["seconds"] for row in rows)
    return sorted((row | {"share": row["seconds"] / whole} for row in rows), key=lambda row: -row["seconds"])


def share_without_the_model(rows: list[dict]) -> float:
    """The share of a build in which no stage trains, evaluates or measures a model."""
    return sum(row["share"] for row in rows if row["stage"] not in MODEL)
