"""Where a stage can run: each machine of a cluster has cores, memory and GPUs. Pure."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from cantica.commands.builds.offers import Offer


@dataclass(frozen=True)
class Need:
    """What a stage takes. memory: MB at its peak by earlier timings, 0 where that is not known."""

    computes: bool = False  # with a model
    memory: int = 0


@dataclass(frozen=True)
class Place:
    """A worker that runs one stage, and the GPU that the stage gets there, "" for none."""

    worker: str
    gpu: str = ""


class Places:
    """The workers of a cluster, by address, and which of them are taken. Each runs one stage at a time.

    Stages that run on one machine share its cores and its memory, and those that compute with a model share no GPU; but where
    nothing else runs, any stage may start.
    """

    def __init__(self) -> None:
        self._offers: dict[str, Offer] = {}
        self._memory: dict[str, int] = {}  # of each machine, before anything ran there
        self._taken: dict[str, tuple[Place, Need]] = {}

    def update(self, offers: Mapping[str, Offer]) -> None:
        """Take in which workers there are. One that came while stages ran found less memory free, so the most counts."""
        for offer in offers.values():
            self._memory[offer.host] = max(self._memory.get(offer.host, 0), offer.memory)
        self._offers = dict(offers)
        self._taken = {worker: own for worker, own in self._taken.items() if worker in offers}

    def are_taken(self) -> bool:
        """Whether each worker runs a stage."""
        return len(self._taken) == len(self._offers)

    def take(self, need: Need) -> Place | None:
        """Take a place, on the machine where least runs; None if there is none."""
        free = [worker for worker in self._offers if worker not in self._taken]
        for worker in sorted(free, key=lambda worker: len(self._running(self._offers[worker].host))):
            offer, running = self._offers[worker], self._running(self._offers[worker].host)
            unused = [gpu for gpu in offer.gpus if gpu not in {place.gpu for place, _ in running}]
            waits = need.computes and offer.gpus and not unused
            used = sum(other.memory for _, other in running)
            if not waits and (not running or used + need.memory <= self._memory[offer.host]):
                place = Place(worker, unused[0] if need.computes and unused else "")
                self._taken[worker] = place, need
                return place
        return None

    def free(self, place: Place) -> None:
        """Give a place back."""
        self._taken.pop(place.worker, None)

    def cores(self) -> dict[str, tuple[int, ...]]:
        """For each worker that runs a stage, the cores that the stage gets: the worker's own part, and parts of idle ones."""
        found: dict[str, set[int]] = {}
        for host in {offer.host for offer in self._offers.values()}:
            workers = [worker for worker, offer in self._offers.items() if offer.host == host]
            parts = {worker: share(self._offers[worker].cores, job, len(workers)) for job, worker in enumerate(workers)}
            running = [worker for worker in workers if worker in self._taken]
            idle = [worker for worker in workers if worker not in self._taken]
            found |= {worker: set(parts[worker]) for worker in running}
            # Each part goes to one stage as a whole, so that few stages move when another one starts or ends.
            for other, worker in zip(idle, itertools.cycle(running), strict=False):
                found[worker].update(parts[other])
        return {worker: tuple(sorted(cores)) for worker, cores in found.items()}

    def _running(self, host: str) -> list[tuple[Place, Need]]:
        return [own for worker, own in self._taken.items() if self._offers[worker].host == host]


def share(cores: tuple[int, ...], job: int, jobs: int) -> tuple[int, ...]:
    """The cores of one of several workers. Where there are more workers than cores, several have the same one."""
    if not cores:
        return ()
    return cores[job % len(cores) :: jobs] if jobs < len(cores) else (cores[job % len(cores)],)
