"""The Dask cluster that stages run on: one on this machine, or one that runs already."""

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cantica.commands.builds.copy import sweep
from cantica.commands.builds.offers import Offer, differences, own_offer
from cantica.commands.builds.placed import WrongWorker, dask_setup, on_place, use_cores
from cantica.commands.builds.places import Need, Place, Places
from cantica.commands.builds.worker import LOGS
from cantica.commands.dvc.copies import SCRATCH

if TYPE_CHECKING:
    from distributed import Client, Future

SETTINGS = {
    # A worker that is killed does not count against the stage that it ran, unless that happens again and again. (A scheduler
    # that runs already has its own setting.)
    "distributed.scheduler.allowed-failures": 5,
    "distributed.admin.tick.limit": "1h",
    "distributed.comm.timeouts.connect": "10s",  # of a scheduler that is not there
}
ANSWER = "10s"  # in which a worker says what it has
LOOK = 1.0  # seconds after which it is asked again which workers there are


class ClusterFault(Exception):
    """The cluster cannot be used, or not any longer. The text says why."""


class Cluster:
    """The workers of a Dask cluster that can run stages of this process, each one at a time.

    shared: the workers have folders of their own, and a DVC remote in common. tell: is called with a line about a worker that
    cannot be used.
    """

    def __init__(self, client: "Client", shared: bool, tell: Callable[[str], None]):
        self.client, self.shared = client, shared
        self.topic = f"cantica-{client.id}" if shared else ""  # of what stages print
        self._tell, self._own = tell, own_offer()
        self._offers: dict[str, Offer] = {}
        self._refused: dict[str, str] = {}
        self._places = Places()
        self._going: dict[Future, Place] = {}
        self._cores: dict[str, tuple[int, ...]] = {}  # that each worker was told to use
        self._looked = -LOOK
        self._waits = False
        if shared:
            client.subscribe_topic(self.topic, _append)

    def look(self) -> None:
        """Take in which workers came and went, once a second. Raises ClusterFault if the scheduler is gone, or no worker can be
        used.
        """
        if time.monotonic() - self._looked < LOOK:
            return
        self._looked = time.monotonic()
        there = self._workers()
        for address, offer in self._asked(sorted(there - self._offers.keys() - self._refused.keys())).items():
            if reasons := self._reasons(offer):
                self._refused[address] = f"worker {address} is not used: {'; '.join(reasons)}"
                self._tell(self._refused[address])
            else:
                self._offers[address] = offer
        self._offers = {address: offer for address, offer in self._offers.items() if address in there}
        self._places.update(self._offers)
        if there and there <= self._refused.keys():
            raise ClusterFault("\n".join(["no worker can be used", *(self._refused[address] for address in sorted(there))]))
        if not self._offers and not self._waits:
            self._tell("waits for a worker")
        self._waits = not self._offers

    def _workers(self) -> set[str]:
        """The addresses of all workers. Raises ClusterFault."""
        try:
            if self.client.status == "running":
                # Not `scheduler_info`, whose result another thread replaces by one without workers.
                return set(self.client.sync(self.client.scheduler.identity, n_workers=-1)["workers"])
        except OSError:
            pass
        raise ClusterFault("the scheduler is gone. What was finished is kept: give the same command again to continue")

    def _asked(self, workers: list[str]) -> dict[str, Any]:
        """What each of the workers offers, or an exception, without those that do not answer now."""
        if not workers:
            return {}
        ask = {"workers": workers, "on_error": "return", "callback_timeout": ANSWER}
        try:
            found = self.client.sync(self.client._run, own_offer, **ask)
        except OSError:  # a TimeoutError is one, too
            return {}
        return {address: offer for address, offer in found.items() if not isinstance(offer, OSError)}

    def _reasons(self, offer: Offer | Exception) -> list[str]:
        """Why a worker cannot be used; empty if it can. The bytes of a build may not depend on which worker ran what."""
        if isinstance(offer, Exception):
            return [_first_line(offer)]
        others = {own.device for own in self._offers.values()} - {offer.device}
        mixed = [f"it computes with {offer.device}, the first worker with {other}" for other in others]
        return differences(self._own, offer) + mixed

    def take(self, need: Need) -> Place | None:
        """Take a place for a call; None if there is none."""
        return None if self._places.are_taken() else self._places.take(need)

    def submit(self, place: Place, key: str, function: Callable, arguments: tuple) -> "Future":
        """Call a function on a place that was taken. key: the name of the call."""
        # If the worker dies, Dask takes another one, where `on_place` raises WrongWorker.
        where = {"workers": [place.worker], "allow_other_workers": True}
        cores = self._cores[place.worker] = self._places.cores()[place.worker]
        future = self.client.submit(on_place, place, cores, function, *arguments, key=key, pure=False, **where)
        self._going[future] = place
        return future

    def share_cores(self) -> None:
        """Let the stages that run on a machine use all its cores, each a part of them."""
        loop = self.client.loop
        assert loop  # the client is open
        for worker, cores in self._places.cores().items():
            if self._cores[worker] != cores:
                self._cores[worker] = cores
                # Nobody waits for the answer: a worker that gives none has its old part.
                loop.add_callback(self.client._run, use_cores, cores, workers=[worker], on_error="ignore")

    def result(self, future: "Future") -> Any:
        """What a call gave, or its exception. The worker is free from then on. Raises ClusterFault."""
        self._places.free(self._going.pop(future))
        if future.cancelled():
            self._look_now()
            raise ClusterFault("the scheduler has dropped a stage: give the same command again to continue")
        try:
            return future.result()
        except WrongWorker as error:
            self._look_now()
            return error
        except Exception as error:
            return error
        finally:
            future.release()

    def _look_now(self) -> None:
        self._looked = -LOOK
        self.look()


@contextlib.contextmanager
def clusters(
    jobs: int, scheduler: str, tell: Callable[[str], None]
) -> Iterator[tuple[Callable[[], Cluster], Callable[[], Cluster]]]:
    """Functions that give the cluster of stages, and that of tasks in folders of this machine; each starts when first called.

    scheduler: the address of the first one; without it, both are one cluster of `jobs` processes here.
    """
    with contextlib.ExitStack() as stack:
        here = cache(lambda: stack.enter_context(_local(jobs, tell)))
        yield cache(lambda: stack.enter_context(_running_at(scheduler, tell))) if scheduler else here, here


@contextlib.contextmanager
def _local(jobs: int, tell: Callable[[str], None]) -> Iterator[Cluster]:
    """A cluster of `jobs` processes, which run in the current folder's project. They end with this process."""
    import dask
    from distributed import Client, LocalCluster

    sweep()
    try:
        with (
            dask.config.set(SETTINGS | {"distributed.worker.preload": [dask_setup.__module__]}),
            LocalCluster(
                n_workers=jobs,
                threads_per_worker=1,
                memory_limit=0,  # of the worker alone, without the stages
                dashboard_address="127.0.0.1:0",  # a port that is free
                local_directory=str(SCRATCH.resolve()),
                silence_logs="CRITICAL",
            ) as cluster,
            Client(cluster) as client,
        ):
            yield Cluster(client, False, tell)
    finally:
        sweep()


@contextlib.contextmanager
def _running_at(address: str, tell: Callable[[str], None]) -> Iterator[Cluster]:
    """The cluster of a scheduler that runs already. Raises ClusterFault where there is none."""
    import logging

    import dask
    from distributed import Client

    for name in ("distributed", "distributed.client"):  # what becomes of the scheduler is told in our own words
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with dask.config.set(SETTINGS):
        try:
            client = Client(address)
        except (OSError, ValueError) as error:
            raise ClusterFault(f"no scheduler at {address}: {_first_line(error)}") from None
        with client:
            if "dashboard" in client.scheduler_info()["services"]:
                tell(f"Dask's dashboard: {client.dashboard_link}")
            yield Cluster(client, True, tell)


def _append(event: tuple[float, dict]) -> None:
    """Keep what a stage prints on another machine, as if it ran here."""
    _, told = event
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / Path(told["log"]).name).open("a", encoding="utf-8") as log:
        log.write(told["text"])


def _first_line(error: object) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
