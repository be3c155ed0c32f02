"""`cantica plan`: which stages `dvc repro` would run, why, and how long that takes."""

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cantica.commands.dvc.copies import SCRATCH, make_copy
from cantica.commands.dvc.forecast import AT_MOST, Forecast, predict
from cantica.commands.dvc.graph import longest_chain, makers_of, makespan
from cantica.commands.dvc.project import Project, read_present, read_project
from cantica.commands.dvc.records import Lock
from cantica.commands.git import head
from cantica.commands.table import aligned
from cantica.commands.text import counted, duration, few
from cantica.commands.timings import estimate, expected, read_timings
from cantica.commands.work import Work, examples_in
from cantica.core.documents import read_yaml
from cantica.core.params import FILE
from cantica.judging.held_out import asked_of, load_prompts
from cantica.reporting.nested import flatten
from cantica.settings.tree_faults import SAMPLES

WORKERS = (2, 4)  # numbers for which a plan gives the time
PROMPTS = Path("prompts/held_out")


@dataclass(frozen=True)
class Plan:
    """The forecast and the work of each stage, in an order in which they can run, and the stages that make what it reads."""

    forecasts: dict[str, Forecast]
    works: dict[str, Work]
    makers: dict[str, list[str]]


def plan(params: str = "") -> Plan:
    """The plan for the current folder's project, or for HEAD with another text of params.yaml. Raises InputError."""
    if not params:
        return _plan()
    revision, _ = head()
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=SCRATCH.resolve(), prefix="plan-") as folder,
        contextlib.chdir(make_copy(Path(folder), revision, params)),
    ):
        return _plan()


def _plan() -> Plan:
    project = read_project()
    return plan_of(project, read_present(project, list(project.graph)))


def plan_of(project: Project, present: Lock) -> Plan:
    """The plan for the project in the current folder, with all its stages as they are now. Raises InputError."""
    forecasts = predict(project.lock, present)
    # A base model that is made anew, or that another build made, may have any size.
    kept = forecasts["base"] in (Forecast("up to date"), Forecast("restored"))
    base = project.lock["base"]["outs"][0]["size"] if kept else None
    prompts = _prompts(list(forecasts), read_yaml(FILE))
    params = {name: flatten(present[name]["params"].get(str(FILE), {})) for name in forecasts}
    works = {name: Work(own, base, prompts[name]) for name, own in params.items()}
    return Plan(forecasts, works, makers_of(present))


def _prompts(stages: list[str], params: dict) -> dict[str, float]:
    """The number of prompts of each stage: those of its sample, or else all evaluation prompts."""
    evaluation = len(asked_of(load_prompts(PROMPTS), params["held_out"], FILE))
    samples = {name: examples_in(own["prompts"], params) for section in SAMPLES for name, own in params[section].items()}
    of_samples = {f"{kind}@{name}": number for kind in ("sample", "sample_server") for name, number in samples.items()}
    return {stage: of_samples.get(stage, evaluation) for stage in stages}


def times(found: Plan, stages: list[str]) -> dict[str, float]:
    """The seconds of each of the stages, by earlier timings, where that is known."""
    return expected(stages, read_timings(), {name: found.works[name] for name in stages})


def plan_text(found: Plan) -> str:
    """A line for each stage that runs, with the reason, then their number and the time they take."""
    runs = {name: own.why for name, own in found.forecasts.items() if own.action == "runs"}
    restored = sum(own.action == "restored" for own in found.forecasts.values())
    kept = f"DVC restores {counted(restored, 'stage')} from its cache"
    if not runs:
        return f"nothing to run: {kept}" if restored else "everything is up to date"
    took = _time(list(runs), found.works)
    summary = [f"{counted(len(runs), 'stage')} to run, {took}", *_several(found, list(runs)), *([kept] if restored else [])]
    return "\n".join([*aligned(list(runs.items()), left=2), "", *summary, AT_MOST])


def _several(found: Plan, runs: list[str]) -> list[str]:
    makers = {name: [maker for maker in found.makers[name] if maker in runs] for name in runs}
    return parallel(makers, times(found, runs), {name: name for name in runs})


def parallel(makers: dict[str, list[str]], seconds: dict[str, float], names: dict[str, str]) -> list[str]:
    """A line with the time with several workers and the longest chain of stages, if one waits for another and has a known time.

    names: of the stages, as they are shown.
    """
    if not seconds or not any(makers.values()):
        return []
    chain = longest_chain(makers, seconds)
    shown = [names[stage] for stage in (chain if len(chain) <= 5 else [*chain[:2], *chain[-2:]])]
    if len(chain) > 5:
        shown.insert(2, "…")
    of = ", ".join(f"{duration(makespan(makers, seconds, jobs))} with {jobs}" for jobs in WORKERS)
    return [f"with several workers: {of}; no less than {duration(_sum(chain, seconds))}, for {' → '.join(shown)}"]


def _sum(stages: list[str], seconds: dict[str, float]) -> float:
    return sum(seconds.get(name, 0.0) for name in stages)


def _time(runs: list[str], works: dict[str, Work]) -> str:
    """How long stages take, by earlier timings, and for which of them that is not known."""
    timings = read_timings()
    seconds, untimed = estimate(runs, timings, {name: works[name] for name in runs})
    ran = {record["stage"].split("@")[0] for record in timings}
    new = [name for name in untimed if name.split("@")[0] not in ran]
    other = [name for name in untimed if name not in new]
    if len(new) == len(runs):
        return "time unknown: no such stage has run here yet"
    took = "time unknown" if len(untimed) == len(runs) else f"{duration(seconds)} by earlier timings"
    took += f", without {counted(len(new), 'stage')} that never ran here" if new else ""
    return took + (f"; unknown for {few(other)}: no timing of comparable work" if other else "")
