"""How long stages took: records that every stage leaves outside the graph."""

import json
from pathlib import Path
from statistics import median

from stages.lib.common.command import TIMINGS


def read_timings(file: Path = TIMINGS) -> list[dict]:
    """The records of all stages that finished, oldest first: {"stage", "seconds", "cpu_seconds", "peak_mb"}.

    A line that a kill cut short, or two that came at once, is left out; no file has no records.
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


def estimate(stages: list[str], timings: list[dict]) -> tuple[float, list[str]]:
    """(seconds that stages would take, those of them that nothing is known of).

    A stage takes as long as it did last, or else as the median of those of its kind, such as `train@*`, did last.
    """
    last = {record["stage"]: record["seconds"] for record in timings}
    kinds: dict[str, list[float]] = {}
    for stage, seconds in last.items():
        kinds.setdefault(_kind(stage), []).append(seconds)
    known = {stage: last.get(stage) or median(kinds[_kind(stage)]) for stage in stages if _kind(stage) in kinds}
    return sum(known.values()), [stage for stage in stages if stage not in known]


def _kind(stage: str) -> str:
    return stage.split("@")[0]
