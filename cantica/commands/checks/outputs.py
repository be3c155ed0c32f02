"""Are the outputs on the disk what their stages made?"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cantica.commands.dvc.cache import cache_folder, in_cache
from cantica.commands.dvc.changes import altered, edits
from cantica.commands.dvc.graph import downstream, edges
from cantica.commands.dvc.project import read_present, read_project
from cantica.commands.dvc.records import MISSING, Lock, maker_of, outputs, overlap, within
from cantica.commands.text import few, short
from cantica.core.errors import Problem

REPORTS = "reports"
SHOWN = 3  # outputs that are named


@dataclass(frozen=True)
class Altered:
    """An output that differs from dvc.lock although no input of its stage changed.

    was, now: its hashes. cached: whether DVC's cache holds what the stage made. reports: the reports that were made from what
    it was and that nothing makes anew; the output itself where it is a report.
    """

    path: str
    stage: str
    was: str
    now: str
    cached: bool
    reports: tuple[str, ...] = ()

    @property
    def restore(self) -> str:
        """The command that brings back what the stage made."""
        return f"dvc checkout --force {self.path}" if self.cached else f"dvc repro {self.stage}"


def altered_outputs() -> list[Altered]:
    """The outputs that were altered or removed after the build, in the order of dvc.yaml; [] if nothing was built here."""
    if not Path("dvc.lock").exists():
        return []
    project = read_project()
    outs = [path for entry in project.lock.values() for path in outputs(entry) if not within(path, REPORTS)]
    if not any(Path(path).exists() for path in outs):
        return []  # a fresh clone
    return find_altered(project.lock, read_present(project, list(project.graph)), in_cache(cache_folder()))


def find_altered(lock: Lock, present: Lock, cached: Callable[[str], bool]) -> list[Altered]:
    """The outputs that were altered or removed. cached: whether DVC's cache holds a hash. Pure.

    Outputs of stages with a changed input are left out: they are made anew, and a killed build may have begun that. Reports
    are named if the stage that made them has no other cause to run. No report is named if the file on the disk is the output
    of another build, which lies there after `git checkout` and which DVC replaces.
    """
    edited = {change.stage for change in edits(lock, present)}
    graph = edges(present, present)
    remade = set(downstream(graph, edited, *present))
    own = {md5 for entry in lock.values() for md5 in outputs(entry).values()}

    def reports(path: str, now: str) -> tuple[str, ...]:
        if now == MISSING or (cached(now) and now not in own):
            return ()
        if within(path, REPORTS):
            return (path,)
        readers = [name for name, deps in graph.items() if name not in remade and any(overlap(path, dep) for dep in deps)]
        return tuple(out for name in readers for out in outputs(present[name]) if within(out, REPORTS))

    made = [(maker_of(path, present), path, was, now) for path, was, now in altered(lock, present)]
    return [
        Altered(path, maker[0], was, now, cached(was), reports(path, now))
        for maker, path, was, now in made
        if maker and maker[0] not in edited
    ]


def wrong_outputs(found: list[Altered]) -> list[Problem]:
    """A Problem for each altered output whose reports no longer match it."""
    return [
        Problem(
            out.path,
            "",
            f"{short(out.now)}, which {out.stage} did not make",
            f"{short(out.was)}, as in dvc.lock"
            + ("" if out.reports == (out.path,) else f", from which {few(list(out.reports))} were made"),
            f"`{out.restore}` restores it",
        )
        for out in found
        if out.reports
    ]


def outputs_text(found: list[Altered]) -> list[str]:
    """A line on altered outputs that no report depends on, and one on missing outputs."""
    other = [out for out in found if not out.reports and out.now != MISSING]
    missing = [out.path for out in found if out.now == MISSING]
    lines = []
    if len(other) == 1:
        lines.append(f"{other[0].path} differs from dvc.lock; `{other[0].restore}` restores it")
    elif other:
        restore = "dvc checkout --force" if all(out.cached for out in other) else "dvc repro"
        names = few([out.path for out in other], SHOWN)
        lines.append(f"{len(other)} outputs differ from dvc.lock: {names}; `{restore}` restores them")
    if missing:
        lines.append(f"missing: {few(missing, SHOWN)}; `dvc repro` restores what it needs")
    return lines
