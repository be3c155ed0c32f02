"""Run the stages of builds on a Dask cluster, each as soon as its inputs are there, and once for all builds that need it."""

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from cantica.commands.builds.build import Build
from cantica.commands.builds.cluster import share
from cantica.commands.builds.worker import Done, Order, on_cores, run_stage

if TYPE_CHECKING:
    from distributed import Client, Future

Then = Callable[[Any], None]  # is called with the result of a task, or with its exception


class Watcher(Protocol):
    """What is told when a stage starts and ends. The first of the builds that need it has it run."""

    def began(self, builds: list[Build], order: Order) -> None: ...
    def ended(self, builds: list[Build], order: Order, result: Done | Exception) -> None: ...


@dataclass
class Task:
    """A call of a function on a worker. `key` is its name for Dask; `begin` is called when a worker is free for it."""

    key: str
    function: Callable
    arguments: Callable[["Client"], tuple]
    then: Then
    begin: Callable[[], None] = lambda: None


@dataclass
class Running:
    """A stage that runs, or waits for a worker, and the builds that need it."""

    order: Order
    builds: list[Build] = field(default_factory=list)
    began: bool = False


class Engine:
    """Gives tasks to a cluster: no more at a time than it has workers, the most urgent first.

    client: starts the cluster; called when the first task is there. jobs: the number of its workers.
    """

    def __init__(self, client: Callable[[], "Client"], jobs: int, watcher: Watcher):
        self._client, self._watcher = client, watcher
        self._free = list(range(jobs))
        self._waiting: list[tuple[tuple[float, ...], int, Task]] = []
        self._going: dict[Future, tuple[Task, int]] = {}
        self._stages: dict[str, Running] = {}  # by run key
        self._trees: dict[str, Future] = {}
        self._builds: dict[Build, tuple[float, Callable[[Build], None]]] = {}
        self._count = itertools.count()

    def add(self, task: Task, *urgency: float) -> None:
        """Have a task done. The one with the smallest numbers is the most urgent."""
        self._waiting.append((urgency, next(self._count), task))

    def build(self, build: Build, then: Callable[[Build], None], place: float = 0) -> None:
        """Run the stages of a build; when no more can run, call `then`. Builds with a smaller `place` go first."""
        self._builds[build] = place, then
        self._advance(build)

    def run(self) -> None:
        """Work until nothing is left to do."""
        if not self._waiting:
            return
        from distributed import as_completed

        client = self._client()
        done = as_completed()
        while self._waiting or self._going:
            self._waiting.sort(key=lambda waiting: waiting[:2], reverse=True)
            while self._waiting and self._free:
                done.add(self._submit(client, self._waiting.pop()[-1]))
            for future in done.next_batch():
                task, job = self._going.pop(future)
                self._free.append(job)
                result = future.exception() or future.result()
                future.release()
                task.then(result)

    def _submit(self, client: "Client", task: Task) -> "Future":
        """Give a task to the cluster. If nothing else can run until it ends, it gets all cores of the processor."""
        alone = not self._going and not self._waiting
        job = self._free.pop(0)
        cores = share(0, 1) if alone else share(job, len(self._free) + 1 + len(self._going))
        task.begin()
        future = client.submit(on_cores, cores, task.function, *task.arguments(client), key=task.key, pure=False)
        self._going[future] = task, job
        return future

    def _advance(self, build: Build) -> None:
        place, then = self._builds[build]
        for key, stage in build.ready().items():
            if key not in self._stages:
                running = self._stages[key] = Running(Order(stage, key, build.inputs(stage)))
                self.add(self._stage(running, build.snapshot.tree), place, -build.lengths[stage])
            running = self._stages[key]
            if build not in running.builds:
                running.builds.append(build)
                build.going[stage] = running.order
                if running.began:
                    build.begin(stage)
        if not build.going:
            del self._builds[build]
            then(build)

    def _stage(self, running: Running, tree: bytes) -> Task:
        order = running.order

        def arguments(client: "Client") -> tuple:
            name = f"tree-{hashlib.sha256(tree).hexdigest()}"
            if name not in self._trees:
                # As a task: should all workers that have the archive die, Dask makes it again.
                self._trees[name] = client.submit(bytes, tree, key=name)
            return order, self._trees[name]

        def then(result: Done | Exception) -> None:
            builds = self._stages.pop(order.key).builds
            for build in builds:
                build.take(order, result)
            self._watcher.ended(builds, order, result)
            for build in builds:
                self._advance(build)

        def begin() -> None:
            running.began = True
            for build in running.builds:
                build.begin(order.stage)
            self._watcher.began(running.builds, order)

        return Task(f"{order.stage}-{order.key}", run_stage, arguments, then, begin)
