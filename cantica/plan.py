"""What `dvc repro` would run, and why, down the whole graph (`dvc status` and `dvc repro --dry` stop at the first stage)."""

import contextlib
import functools
import tempfile
from pathlib import Path

from cantica.copies import SCRATCH, make_copy
from cantica.forecast import Fate, forecast, run_key
from cantica.git import head
from cantica.progress import counted, duration
from cantica.records import cache_folder, in_cache, read_foreseen, read_present, read_records
from cantica.timings import estimate, read_timings
from cantica.variants import overlaid, to_text

AT_MOST = "at most: an output that comes out as before stops the chain"


def plan(variant: str = "") -> dict[str, Fate]:
    """The fate of every stage in the current folder's project, or in that of a variant on HEAD. Raises InputError."""
    if not variant:
        return _plan()
    revision, params = head()
    text = to_text(overlaid(variant, params))
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=SCRATCH.resolve(), prefix="plan-") as folder,
        contextlib.chdir(make_copy(Path(folder), revision, text)),
    ):
        return _plan()


def plan_text(fates: dict[str, Fate]) -> str:
    """A line for each stage that runs, and how many and how long they are."""
    runs = {name: fate.why for name, fate in fates.items() if fate.what == "runs"}
    restored = sum(fate.what == "restored" for fate in fates.values())
    kept = f"DVC restores {counted(restored, 'stage')} from its cache"
    if not runs:
        return f"nothing would run: {kept}" if restored else "everything is up to date"
    width = max(map(len, runs))
    seconds, untimed = estimate(list(runs), read_timings())
    unknown = f", without {counted(len(untimed), 'stage')} that never ran here" if untimed else ""
    took = f"{duration(seconds)} by earlier timings{unknown}" if len(untimed) < len(runs) else "none ever ran here to time it"
    summary = [f"{counted(len(runs), 'stage')}, {took}", *([kept] if restored else []), AT_MOST]
    return "\n".join([*(f"{name:{width}}  {why}" for name, why in runs.items()), "", *summary])


def _plan() -> dict[str, Fate]:
    records, cache = read_records(), cache_folder()
    present = read_present(records, list(records.graph))
    recall = functools.partial(_recall, cache)
    return forecast(records.lock, present, in_cache(cache), recall, read_foreseen())


def _recall(cache: Path, entry: dict) -> dict | None:
    """The last run that DVC's run cache has of a stage with just these inputs."""
    from dvc.utils.serialize import load_yaml

    key = run_key(entry)
    runs = sorted((cache / "runs" / key[:2] / key).glob("*"), key=lambda run: run.stat().st_mtime)
    return load_yaml(str(runs[-1])) if runs else None
