"""Are the outputs on the disk what their stages made?"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cantica.commands.dvc.records import (
    MISSING,
    altered,
    cache_folder,
    downstream,
    edges,
    edits,
    in_cache,
    maker_of,
    outputs,
    read_present,
    read_records,
    within,
)
from cantica.commands.explain import short
from cantica.commands.variants.progress import few
from cantica.core.errors import Problem

REPORTS = "reports"


@dataclass(frozen=True)
class Altered:
    """An output of a stage that is not what dvc.lock says the stage made, though nothing changed that the stage reads.

    was, now: its hashes. restore: the command that brings back what the stage made. reports: the files for people that were
    made from what it was and that nothing makes anew, or the output itself where it is one.
    """

    path: str
    stage: str
    was: str
    now: str
    restore: str
    reports: tuple[str, ...] = ()


def altered_outputs() -> list[Altered]:
    """What was altered or removed after it was built, in the order of dvc.yaml; nothing where nothing was built here."""
    if not Path("dvc.lock").exists():
        return []
    records = read_records()
    outs = [path for entry in records.lock.values() for path in outputs(entry) if not within(path, REPORTS)]
    if not any(Path(path).exists() for path in outs):
        return []  # a fresh clone
    return find_altered(records.lock, read_present(records, list(records.graph)), in_cache(cache_folder()))


def find_altered(lock: dict, present: dict, cached: Callable[[str], bool]) -> list[Altered]:
    """What was altered or removed after it was built. cached: whether DVC's cache holds a hash. Pure.

    Left out are outputs of stages of which an input changed: they are made anew, and a killed build may have begun it. Reports
    are named where the stage that made them has no cause to run but this one. They are not where the output is that of another
    build, which lies there after `git checkout` and which DVC replaces.
    """
    found, graph = edits(lock, present), edges(present, present)
    changed, remade = {change.stage for change in found}, set(downstream(graph, found, *present))
    own = {md5 for entry in lock.values() for md5 in outputs(entry).values()}

    def reports(path: str, stage: str, now: str) -> tuple[str, ...]:
        if now == MISSING or (cached(now) and now not in own):
            return ()
        if within(path, REPORTS):
            return (path,)
        readers = [name for name, deps in graph.items() if name not in remade and any(_meet(path, dep) for dep in deps)]
        return tuple(out for name in readers for out in outputs(present[name]) if within(out, REPORTS))

    return [
        Altered(path, stage, was, now, _restore(path, stage, cached(was)), reports(path, stage, now))
        for path, was, now in altered(lock, present)
        for stage in [maker_of(path, present)[0]]
        if stage not in changed
    ]


def _meet(path: str, other: str) -> bool:
    return within(path, other) or within(other, path)


def _restore(path: str, stage: str, cached: bool) -> str:
    return f"dvc checkout --force {path}" if cached else f"dvc repro {stage}"


def wrong_outputs(found: list[Altered]) -> list[Problem]:
    """A Problem for each altered output from which a report no longer follows."""
    return [
        Problem(
            out.path,
            "",
            f"{short(out.now)}, not what {out.stage} made",
            f"{short(out.was)}, as in dvc.lock"
            + ("" if out.reports == (out.path,) else f", from which {few(list(out.reports))} were made"),
            f"`{out.restore}` restores it",
        )
        for out in found
        if out.reports
    ]


def outputs_text(found: list[Altered]) -> list[str]:
    """Lines on altered outputs from which no report was made, and on missing ones."""
    lines = [
        f"{out.path} is not what {out.stage} made; `{out.restore}` restores it"
        for out in found
        if not out.reports and out.now != MISSING
    ]
    missing = [out.path for out in found if out.now == MISSING]
    return lines + ([f"missing: {few(missing)}; `dvc repro` restores what is needed of it"] if missing else [])
