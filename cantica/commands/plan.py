"""What `dvc repro` would run, and why, down the whole graph (`dvc status` and `dvc repro --dry` stop at the first stage)."""

import contextlib
import functools
import tempfile
from dataclasses import replace
from pathlib import Path

from cantica.commands.checks.numbers import leaves
from cantica.commands.dvc.forecast import Fate, Work, forecast, run_key
from cantica.commands.dvc.records import cache_folder, in_cache, read_foreseen, read_present, read_records
from cantica.commands.git import head
from cantica.commands.timings import estimate, read_timings
from cantica.commands.variants.copies import SCRATCH, make_copy
from cantica.commands.variants.files import overlaid, to_text
from cantica.commands.variants.progress import counted, duration, few
from cantica.core.params import FILE, read_params
from cantica.judging.held_out import asked_of, load_prompts

PROMPTS = Path("prompts/held_out")
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
    timings = read_timings()
    seconds, untimed = estimate(list(runs), timings, {name: fates[name].work for name in runs})
    ran = {record["stage"].split("@")[0] for record in timings}
    new = [name for name in untimed if name.split("@")[0] not in ran]
    other = [name for name in untimed if name not in new]
    unknown = f", without {counted(len(new), 'stage')} that never ran here" if new else ""
    unknown += f"; unknown for {few(other)}: no timing of such work" if other else ""
    took = f"{duration(seconds)} by earlier timings{unknown}" if len(untimed) < len(runs) else f"time unknown{unknown}"
    took = "none ever ran here to time it" if len(new) == len(runs) else took
    summary = [f"{counted(len(runs), 'stage')}, {took}", *([kept] if restored else []), AT_MOST]
    return "\n".join([*(f"{name:{width}}  {why}" for name, why in runs.items()), "", *summary])


def _plan() -> dict[str, Fate]:
    records, cache = read_records(), cache_folder()
    present = read_present(records, list(records.graph))
    fates = forecast(records.lock, present, in_cache(cache), functools.partial(_recall, cache), read_foreseen())
    # A base model that is made anew, or that another build made, may be of any size.
    kept = fates["base"] in (Fate("up to date"), Fate("restored"))
    base = records.lock["base"]["outs"][0]["size"] if kept else None
    prompts = len(asked_of(load_prompts(PROMPTS), read_params("held_out")["held_out"], FILE))

    def work(name: str) -> Work:
        return Work(leaves(present[name]["params"].get(str(FILE), {})), base, prompts)

    return {name: replace(fate, work=work(name)) for name, fate in fates.items()}


def _recall(cache: Path, entry: dict) -> dict | None:
    """The last run that DVC's run cache has of a stage with just these inputs."""
    from dvc.utils.serialize import load_yaml

    key = run_key(entry)
    runs = sorted((cache / "runs" / key[:2] / key).glob("*"), key=lambda run: run.stat().st_mtime)
    return load_yaml(str(runs[-1])) if runs else None
