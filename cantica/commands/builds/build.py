"""One build: what of it is done, and which stages can run now."""

import time

from cantica.commands.builds.places import Need
from cantica.commands.builds.snapshot import Snapshot
from cantica.commands.builds.store import Store
from cantica.commands.builds.worker import Done, Order
from cantica.commands.dvc.cache import run_key
from cantica.commands.dvc.forecast import Forecast, forecast
from cantica.commands.dvc.graph import lengths
from cantica.commands.dvc.records import UNKNOWN, Entry, Lock, dependencies, overlap

MODEL = "toolchain.model"  # the params of stages that compute with a model


class Build:
    """A build in progress. What DVC's run cache does not keep is left to DVC itself, at the end.

    store: the runs that are known; builds that run together share it.
    """

    def __init__(self, name: str, snapshot: Snapshot, store: Store):
        self.name, self.snapshot, self.store = name, snapshot, store
        self.failed: dict[str, str] = {}  # what a stage that failed printed
        self.going: dict[str, Order] = {}  # stages that run or wait for a worker
        self._begins: dict[str, float] = {}  # of those that run
        self.done: list[str] = []  # stages that ran for this build, or for another one that needs them too
        self._tried: set[str] = set()  # the run keys of those that ended
        # A stage that never ran counts as one of a second.
        self.lengths = lengths(snapshot.makers, {name: snapshot.seconds.get(name, 1.0) for name in snapshot.makers})
        self.forecasts: dict[str, Forecast] = {}
        self.look()

    def take(self, order: Order, result: Done | Exception) -> None:
        """Take in what became of a stage."""
        name, key = order.stage, order.key
        self.going.pop(name, None)
        self._begins.pop(name, None)
        self._tried.add(key)
        if isinstance(result, Done):
            self.store.keep(key, result.entry)
            self.done.append(name)
        else:
            self.failed[name] = str(result)
        self.look()

    def look(self) -> None:
        """Take in what has become known since the last look."""
        own, store = self.snapshot, self.store
        self.forecasts = forecast(own.lock, own.present, store.has, store.recall, own.predicted, store.part)

    def begin(self, name: str) -> None:
        """Take in that a stage runs now."""
        self._begins[name] = time.monotonic()

    def running(self) -> dict[str, Order]:
        """The stages that run now."""
        return {name: order for name, order in self.going.items() if name in self._begins}

    def seconds_left(self) -> float | None:
        """The time until the end by earlier timings, if there are workers enough; None if it is not known of any stage."""
        now, left = time.monotonic(), self.left()
        known = {name: self.snapshot.seconds[name] for name in left if name in self.snapshot.seconds}
        rest = {name: max(0.0, took - (now - self._begins.get(name, now))) for name, took in known.items()}
        makers = {name: [maker for maker in self.snapshot.makers[name] if maker in left] for name in left}
        return max(lengths(makers, rest).values()) if known else None

    def left(self) -> list[str]:
        """The stages that have to run still, those that run now among them."""
        return [name for name, own in self.forecasts.items() if own.action == "runs"]

    def ready(self) -> dict[str, str]:
        """The stages whose inputs are all there, by the key under which DVC's run cache keeps their runs."""
        if self.failed:
            return {}
        left = set(self.left())
        found = {}
        for name in self.forecasts:
            entry, makers = self.forecasts[name].entry, self.snapshot.makers[name]
            ready = name in left and name not in self.snapshot.unkept and not left.intersection(makers)
            if ready and UNKNOWN not in dependencies(entry).values() and (key := run_key(entry)) not in self._tried:
                found[key] = name
        return found

    def inputs(self, name: str) -> Lock:
        """The records of the stages that made what a stage reads, with no other outputs than those."""
        paths = dependencies(self.forecasts[name].entry)
        entries = {maker: self.forecasts[maker].entry for maker in self.snapshot.makers[name]}

        def read(entry: Entry) -> Entry:
            return entry | {"outs": [out for out in entry["outs"] if any(overlap(path, out["path"]) for path in paths)]}

        return {maker: read(entry) for maker, entry in entries.items()}

    def need(self, name: str) -> Need:
        """What a stage takes of a machine."""
        keys = [key for values in self.snapshot.present[name].get("params", {}).values() for key in values]
        return Need(any(key == MODEL or key.startswith(f"{MODEL}.") for key in keys), self.snapshot.memory.get(name, 0))

    def built(self) -> Lock:
        """The records of the stages that are done and do not stand in the workspace yet."""
        restored = [name for name, own in self.forecasts.items() if own.action == "restored"]
        return {name: self.forecasts[name].entry for name in restored if name not in self.snapshot.unkept}

    def possible(self) -> list[str]:
        """The stages that DVC can build now, in order: all but those that failed, and what follows them."""
        stopped: set[str] = set()
        for name in self.forecasts:
            left = self.forecasts[name].action == "runs" and name not in self.snapshot.unkept
            if left or stopped.intersection(self.snapshot.makers[name]):
                stopped.add(name)
        return [name for name in self.forecasts if name not in stopped]
