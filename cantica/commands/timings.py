"""How long stages took: records that every stage leaves outside the graph."""

import json
from pathlib import Path
from statistics import median

from cantica.commands.dvc.forecast import Work, scaled
from cantica.commands.variants.progress import counted, duration
from cantica.core.command import TIMINGS


def read_timings(file: Path = TIMINGS) -> list[dict]:
    """The records of all stages that finished, oldest first: {"stage", "seconds", "cpu_seconds", "peak_mb", …}.

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


def estimate(stages: list[str], timings: list[dict], works: dict[str, Work] | None = None) -> tuple[float, list[str]]:
    """(seconds that stages would take, those of them that nothing is known of).

    A stage takes as long as it did last, or else as the median of those of its kind, such as `train@*`, did last; with `works`,
    what each has to do, scaled by that.
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
    return sum(known.values()), [stage for stage in stages if stage not in known]


def largest(timings: list[dict]) -> int:
    """MB of the largest stage that ever ran; 0 where none is known."""
    return max((record.get("peak_mb", 0) for record in timings), default=0)


def timings_text(stages: list[str], timings: list[dict]) -> str:
    """A line for each kind of stage, from the last run of every stage that is named: the longest first."""
    last = {record["stage"]: record for record in timings if record["stage"] in stages}
    if not last:
        return "no stage ran here yet: `dvc repro`"
    kinds: dict[str, list[dict]] = {}
    for stage, record in last.items():
        kinds.setdefault(_kind(stage), []).append(record)
    sums = {kind: sum(record["seconds"] for record in records) for kind, records in kinds.items()}
    whole = sum(sums.values())
    rows = [("stage", "runs", "seconds", "share", "CPU s", "peak MB")]
    for kind in sorted(kinds, key=sums.__getitem__, reverse=True):
        records = kinds[kind]
        cpu, peak = (f(record.get(key, 0) for record in records) for f, key in ((sum, "cpu_seconds"), (max, "peak_mb")))
        rows.append((kind, len(records), f"{sums[kind]:.1f}", f"{100 * sums[kind] / whole:.0f}%", f"{cpu:.1f}", peak))
    widths = [max(len(str(cell)) for cell in column) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{cell:{'<' if n == 0 else '>'}{widths[n]}}" for n, cell in enumerate(row)) for row in rows]
    missing = [stage for stage in stages if stage not in last]
    never = f"; {counted(len(missing), 'stage')} never ran here" if missing else ""
    return "\n".join([*lines, "", f"the last run of {counted(len(last), 'stage')}, {duration(whole)}{never}"])


def _kind(stage: str) -> str:
    return stage.split("@")[0]
