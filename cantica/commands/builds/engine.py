"""Run the stages of builds on a Dask cluster, each as soon as its inputs are there, and once for all builds that need it."""

import contextlib
import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from cantica.commands.builds.build import Build
from cantica.commands.builds.cluster import LOOK, Cluster
from cantica.commands.builds.places import Need
from cantica.commands.builds.worker import Done, Order, StageFailed, WrongWorker, receive, run_stage

if TYPE_CHECKING:
    from distributed import Future

Then = Callable[[Any], None]  # is called with the result of a task, or with its exception


class Watcher(Protocol):
    """What is told when a stage starts and ends. The first of the builds that need it has it run."""

    def began(self, builds: list[Build], order: Order) -> None: ...
    def ended(self, builds: list[Build], order: Order, result: Done | Exception) -> None: ...


@dataclass
class Task:
    """A call of a function on a worker. `key` is its name for Dask; `begin` is called when a worker is free for it.

    here: it works in folders of this machine.
    """

    key: str
    function: Callable
    arguments: Callable[[Cluster], tuple]
    then: Then
    begin: Callable[[], None] = lambda: None
    need: Need = field(default_factory=Need)
    here: bool = False


@dataclass
class Running:
    """A stage that runs, or waits for a worker, and the builds that need it."""

    order: Order
    builds: list[Build] = field(default_factory=list)
    began: bool = False


class Engine:
    """Gives tasks to workers that are free, the most urgent first.

    cluster, here: give the cluster of stages, and that of tasks that work in folders of this machine. They are called when
    there is such a task.
    """

    def __init__(self, cluster: Callable[[], Cluster], here: Callable[[], Cluster], watcher: Watcher):
        self._clusters = {False: cluster, True: here}
        self._watcher = watcher
        self._waiting: list[tuple[tuple[float, ...], int, Task]] = []
        self._going: dict[Future, tuple[tuple[float, ...], int, Task, Cluster]] = {}
        self._ended: SimpleQueue[Future] = SimpleQueue()
        self._stages: dict[str, Running] = {}  # by run key
        self._failed: dict[str, StageFailed] = {}  # by run key
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
        """Work until nothing is left to do. Raises ClusterFault."""
        while self._waiting or self._going:
            self._submit()
            with contextlib.suppress(Empty):
                future = self._ended.get(timeout=LOOK)
                urgency, count, task, cluster = self._going.pop(future)
                result = cluster.result(future)
                if isinstance(result, WrongWorker):
                    self._waiting.append((urgency, count, task))
                else:
                    task.then(result)

    def _submit(self) -> None:
        """Start what can run now. If nothing else runs or waits, a task gets all cores of its machine."""
        self._waiting.sort(key=lambda waiting: waiting[:2])
        tasks = [*(task for _, _, task in self._waiting), *(own[2] for own in self._going.values())]
        for cluster in {self._clusters[task.here]() for task in tasks}:
            cluster.look()
        for waiting in list(self._waiting):
            task, alone = waiting[-1], not self._going and len(self._waiting) == 1
            cluster = self._clusters[task.here]()
            future = cluster.submit(task.key, task.need, alone, task.function, task.arguments)
            if future:
                self._waiting.remove(waiting)
                self._going[future] = *waiting, cluster
                task.begin()
                future.add_done_callback(self._ended.put)

    def _give_up(self) -> list[Build]:
        """Drop the stages that wait only for builds in which another stage has failed. Returns these builds."""
        dropped = [own for own in self._stages.values() if not own.began and all(build.failed for build in own.builds)]
        for own in dropped:
            del self._stages[own.order.key]
            for build in own.builds:
                build.going.pop(own.order.stage)
        names = {own.order.name for own in dropped}
        self._waiting = [waiting for waiting in self._waiting if waiting[-1].key not in names]
        return [build for own in dropped for build in own.builds]

    def _advance(self, build: Build) -> None:
        if build not in self._builds:
            return
        place, then = self._builds[build]
        for key, stage in build.ready().items():
            if error := self._failed.get(key):  # for a build that needed it before
                order = Order(stage, key, {})
                build.take(order, error)
                self._watcher.ended([build], order, error)
                break
            if key not in self._stages:
                running = self._stages[key] = Running(Order(stage, key, build.inputs(stage)))
                self.add(self._stage(running, build), place, -build.lengths[stage])
            running = self._stages[key]
            if build not in running.builds:
                running.builds.append(build)
                build.going[stage] = running.order
                if running.began:
                    build.begin(stage)
        if not build.going:
            del self._builds[build]
            then(build)

    def _stage(self, running: Running, build: Build) -> Task:
        order, tree = running.order, build.snapshot.tree

        def arguments(cluster: Cluster) -> tuple:
            name = f"tree-{hashlib.sha256(tree).hexdigest()}"
            if name not in self._trees:
                # As a task: should all workers that have the archive die, Dask makes it again.
                self._trees[name] = cluster.client.submit(bytes, tree, key=name)
            if cluster.shared:
                build.store.push(order.makers)
            return order, self._trees[name], cluster.topic

        def then(result: Done | Exception) -> None:
            if self._clusters[False]().shared or isinstance(result, Exception):
                receive(order, result)
            if isinstance(result, StageFailed):
                self._failed[order.key] = result
            builds = self._stages.pop(order.key).builds
            for own in builds:
                own.take(order, result)
            self._watcher.ended(builds, order, result)
            for own in [*builds, *self._give_up()]:
                self._advance(own)

        def begin() -> None:
            running.began = True
            for own in running.builds:
                own.begin(order.stage)
            self._watcher.began(running.builds, order)

        return Task(order.name, run_stage, arguments, then, begin, build.need(order.stage))
