"""Run the stages of builds on a Dask cluster, each as soon as its inputs are there, and once for all builds that need it."""

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from cantica.commands.builds.build import Build
from cantica.commands.builds.cluster import LOOK, Cluster
from cantica.commands.builds.placed import WrongWorker
from cantica.commands.builds.places import Need
from cantica.commands.builds.worker import Done, Order, StageFailed, receive, run_stage

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

    urgency: the task with the smallest numbers goes first. here: it works in folders of this machine.
    """

    key: str
    function: Callable
    arguments: Callable[[Cluster], tuple]
    then: Then
    urgency: tuple[float, ...]
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
        self._waiting: list[Task] = []
        self._going: dict[Future, tuple[Task, Cluster]] = {}
        self._ended: SimpleQueue[Future] = SimpleQueue()
        self._stages: dict[str, Running] = {}  # by run key
        self._failed: dict[str, StageFailed] = {}  # by run key
        self._trees: dict[str, Future] = {}
        self._builds: dict[Build, tuple[float, Callable[[Build], None]]] = {}

    def add(self, task: Task) -> None:
        """Have a task done."""
        self._waiting.append(task)

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
                task, cluster = self._going.pop(future)
                result = cluster.result(future)
                if isinstance(result, WrongWorker):
                    self.add(task)
                else:
                    task.then(result)

    def _submit(self) -> None:
        """Start what can run now."""
        self._waiting.sort(key=lambda task: task.urgency)
        waiting = [(task, self._clusters[task.here]()) for task in self._waiting]
        clusters = {cluster for _, cluster in [*waiting, *self._going.values()]}
        for cluster in clusters:
            cluster.look()
        placed = [(task, cluster, place) for task, cluster in waiting if (place := cluster.take(task.need))]
        for task, cluster, place in placed:
            task.begin()
            future = cluster.submit(place, task.key, task.function, task.arguments(cluster))
            self._waiting.remove(task)
            self._going[future] = task, cluster
            future.add_done_callback(self._ended.put)
        for cluster in clusters:
            cluster.share_cores()

    def _give_up(self) -> list[Build]:
        """Drop the stages that wait only for builds in which another stage has failed. Returns these builds."""
        dropped = [own for own in self._stages.values() if not own.began and all(build.failed for build in own.builds)]
        for own in dropped:
            del self._stages[own.order.key]
            for build in own.builds:
                build.going.pop(own.order.stage)
        names = {own.order.name for own in dropped}
        self._waiting = [task for task in self._waiting if task.key not in names]
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
                self.add(self._stage(running, build, (place, -build.lengths[stage])))
            running = self._stages[key]
            if build not in running.builds:
                running.builds.append(build)
                build.going[stage] = running.order
                if running.began:
                    build.begin(stage)
        if not build.going:
            del self._builds[build]
            then(build)

    def _stage(self, running: Running, build: Build, urgency: tuple[float, ...]) -> Task:
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

        return Task(order.name, run_stage, arguments, then, urgency, begin, build.need(order.stage))
