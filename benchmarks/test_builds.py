"""What it costs to schedule builds: a thousand stages that sleep, a build with nothing to do, and the time around each stage.

Each prints what it measured beside what bounds it.
"""

import contextlib
import random
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import pytest

from cantica.commands.builds.cluster import Cluster
from cantica.commands.builds.engine import Engine, Task
from cantica.commands.dvc.graph import lengths
from tests.support.projects import ENVIRONMENT, build, ok

STAGES, WORKERS, SEED = 1000, 50, 20261130
LAYER = 60  # stages that may wait for those of the layer before


def graph() -> tuple[dict[str, list[str]], dict[str, float]]:
    """1,000 stages, each after up to three of the layer before; and their seconds, 0.2 to 2."""
    draw = random.Random(SEED)
    names = [f"stage-{number}" for number in range(STAGES)]
    before = [names[max(0, number - number % LAYER - LAYER) : number - number % LAYER] for number in range(STAGES)]
    makers = {name: draw.sample(own, min(len(own), draw.randint(0, 3))) for name, own in zip(names, before, strict=True)}
    return makers, {name: draw.uniform(0.2, 2) for name in names}


def schedule(cluster: Cluster, makers: dict[str, list[str]], seconds: dict[str, float]) -> None:
    """Run stages that sleep, each once those before it have ended."""
    engine, length = Engine(lambda: cluster, lambda: cluster, None), lengths(makers, seconds)
    ended: set[str] = set()
    waiting = dict(makers)

    def advance(_: object) -> None:
        for name in [name for name, own in waiting.items() if ended.issuperset(own)]:
            del waiting[name]

            def then(result: object, name: str = name) -> None:
                assert result is None
                ended.add(name)
                advance(None)

            engine.add(Task(name, time.sleep, lambda cluster, name=name: (seconds[name],), then, (-length[name],)))

    advance(None)
    engine.run()
    assert len(ended) == STAGES


@pytest.fixture
def many_workers():
    """A cluster of 50 workers in this process."""
    import dask
    from distributed import Client, LocalCluster

    small = {"distributed.worker.profile.enabled": False, "distributed.scheduler.work-stealing": False}
    with contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(small))
        options = {"n_workers": WORKERS, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
        yield Cluster(stack.enter_context(Client(stack.enter_context(LocalCluster(**options)))), False, print)


def test_a_thousand_stages_on_fifty_workers(benchmark, many_workers):
    makers, seconds = graph()
    benchmark.pedantic(schedule, args=(many_workers, makers, seconds), rounds=1)
    took = benchmark.stats.stats.min
    bound = max(*lengths(makers, seconds).values(), sum(seconds.values()) / WORKERS)
    print(f"\n{took:.1f} s for {STAGES} stages on {WORKERS} workers; bound {bound:.1f} s, {took / bound - 1:+.1%}")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """The smoke variant, built."""
    return build(tmp_path_factory.mktemp("builds") / "project", "smoke")


def timed(project: Path, *words: str) -> float:
    start = time.perf_counter()
    program = Path(sys.executable).parent / words[0]
    subprocess.run([program, *words[1:]], cwd=project, env=ENVIRONMENT, check=True, capture_output=True)
    return time.perf_counter() - start


def test_a_build_with_nothing_to_do(benchmark, project):
    dvc, ours = [], []

    def both() -> None:
        dvc.append(timed(project, "dvc", "repro"))
        ours.append(timed(project, "cantica", "repro"))

    benchmark.pedantic(both, rounds=5, warmup_rounds=1)
    print(f"\nnothing to do: dvc repro {median(dvc):.2f} s, cantica repro {median(ours):.2f} s")


TIMED = """#!/bin/bash
start=$EPOCHREALTIME
/bin/bash "$@"
status=$?
echo "$start $EPOCHREALTIME" >> "{file}"
exit $status
"""


def test_the_time_around_a_stage(benchmark, project, tmp_path, monkeypatch):
    """Two fresh clones are built, one stage after another. What the stages' own processes did not take is around them."""
    around = {}

    def built(*words: str) -> None:
        clone, shell, file = (tmp_path / f"{words[0]}{end}" for end in ("", "-shell", "-times"))
        ok(tmp_path, "git", "clone", "--quiet", str(project), str(clone))
        (clone / "dvc.lock").unlink()
        shell.write_text(TIMED.format(file=file))
        shell.chmod(0o755)
        monkeypatch.setitem(ENVIRONMENT, "SHELL", str(shell))  # in which DVC runs the command of a stage
        took = timed(clone, *words)
        spans = [[float(own) for own in line.split()] for line in file.read_text().splitlines()]
        around[words[0]] = (took - sum(end - start for start, end in spans)) / len(spans)

    def both() -> None:
        built("dvc", "repro")
        built("cantica", "repro", "--jobs", "1")

    benchmark.pedantic(both, rounds=1)
    print(f"\naround each stage: dvc repro {around['dvc']:.2f} s, cantica repro {around['cantica']:.2f} s")
