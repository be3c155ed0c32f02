"""`cantica timings`: how long stages took. Every stage records that in a file outside the graph."""

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from cantica.commands.table import aligned
from cantica.commands.text import counted, duration
from cantica.commands.work import Work, scaled
from cantica.core.command import TIMINGS


def read_timings(file: Path = TIMINGS) -> list[dict[str, Any]]:
    """The records of all stages that finished, oldest first: {"stage", "seconds", "cpu_seconds", "peak_mb", …}.

    Half-written lines, as a killed stage leaves them, are left out. Without the file there are no records.
    """
    records = []
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict) and {"stage", "seconds"} <= record.keys():
            records.append(record)
    return records


def estimate(stages: list[str], timings: list[dict], works: dict[str, Work] | None = None) -> tuple[float, list[str]]:
    """(seconds that the stages take together, those of them for which that is not known)."""
    known = expected(stages, timings, works)
    return sum(known.values()), [stage for stage in stages if stage not in known]


def expected(stages: list[str], timings: list[dict], works: dict[str, Work] | None = None) -> dict[str, float]:
    """The seconds that each of the stages takes, without those for which that is not known.

    A stage takes as long as last time, or else as the median of the stages of its kind, such as `train@*`, each at its last
    run. With `works` these times are scaled by the work of each stage.
    """
    last = {record["stage"]: record for record in timings}

    def seconds(stage: str, record: dict) -> float | None:
        return scaled(record, stage, works[stage]) if works else record["seconds"]

    known = {}
    for stage in stages:
        own = [last[stage]] if stage in last else []
        others = [record for name, record in last.items() if _kind(name) == _kind(stage)]
        for records in (own, others):
            found = [took for record in records if (took := seconds(stage, record)) is not None]
            if found:
                known[stage] = median(found)
                break
    return known


def peaks(stages: list[str], timings: list[dict]) -> dict[str, int]:
    """MB of memory that each stage took at its last run, or else the most that one of its kind took; 0 where none is known."""
    last = {record["stage"]: record.get("peak_mb", 0) for record in timings}

    def of_kind(stage: str) -> int:
        return max((peak for name, peak in last.items() if _kind(name) == _kind(stage)), default=0)

    return {stage: last[stage] if stage in last else of_kind(stage) for stage in stages}


def timings_text(stages: list[str], timings: list[dict]) -> str:
    """A line for each kind of stage, from the last run of every named stage: the longest first."""
    last = {record["stage"]: record for record in timings if record["stage"] in stages}
    if not last:
        return "no stage has run here yet: `dvc repro` runs them"
    kinds: dict[str, list[dict]] = {}
    for stage, record in last.items():
        kinds.setdefault(_kind(stage), []).append(record)
    sums = {kind: sum(record["seconds"] for record in records) for kind, records in kinds.items()}
    whole = sum(sums.values())

    def of(kind: str, key: str, combine: Callable) -> float:
        return combine(record.get(key, 0) for record in kinds[kind])

    rows = [("stage", "runs", "seconds", "share", "CPU s", "peak MB")]
    for kind in sorted(kinds, key=sums.__getitem__, reverse=True):
        share, cpu, peak = 100 * sums[kind] / whole, of(kind, "cpu_seconds", sum), of(kind, "peak_mb", max)
        rows.append((kind, str(len(kinds[kind])), f"{sums[kind]:.1f}", f"{share:.0f}%", f"{cpu:.1f}", str(peak)))
    missing = [stage for stage in stages if stage not in last]
    never = f"; {counted(len(missing), 'stage')} never ran here" if missing else ""
    return "\n".join([*aligned(rows), "", f"the last run of {counted(len(last), 'stage')}: {duration(whole)}{never}"])


def _kind(stage: str) -> str:
    return stage.split("@")[0]
