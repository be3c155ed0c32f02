"""Where stages run: cores, memory and GPUs of each machine are shared, and workers of other versions are refused."""

from dataclasses import replace

from cantica.commands.builds.offers import Offer, differences, own_offer
from cantica.commands.builds.places import Need, Place, Places
from cantica.commands.timings import peaks

OFFER = Offer("one", (0, 1, 2, 3), 1000, (), "a CPU", True, "3.11", {"mlx": "1", "dvc": "3"}, "code")
TRAINS = Need(computes=True, memory=400)


def places(**offers: Offer) -> Places:
    found = Places()
    found.update(offers)
    return found


def test_stages_that_run_on_one_machine_share_its_cores():
    found = places(a=OFFER, b=OFFER, c=replace(OFFER, host="two"))
    taken = [found.take(Need()) for _ in range(2)]
    assert taken == [Place("a"), Place("c")]
    assert found.cores() == {"a": (0, 1, 2, 3), "c": (0, 1, 2, 3)}
    assert [found.take(Need()) for _ in range(2)] == [Place("b"), None]
    assert found.cores() == {"a": (0, 2), "b": (1, 3), "c": (0, 1, 2, 3)}
    found.free(taken[0])
    assert found.cores() == {"b": (0, 1, 2, 3), "c": (0, 1, 2, 3)}


def test_few_stages_move_when_another_one_starts_or_ends():
    many = {name: replace(OFFER, cores=tuple(range(12))) for name in "abcdef"}
    found = places(**many)
    for _ in range(5):
        found.take(Need())
    before = found.cores()
    assert before == {"a": (0, 5, 6, 11), "b": (1, 7), "c": (2, 8), "d": (3, 9), "e": (4, 10)}
    found.free(Place("c"))
    after = found.cores()
    assert {worker for worker in after if after[worker] != before[worker]} == {"a", "b"}
    assert sorted(core for cores in after.values() for core in cores) == list(range(12))


def test_memory_is_asked_before_a_stage_starts():
    found = places(a=OFFER, b=OFFER, c=OFFER)
    assert found.take(TRAINS) and found.take(TRAINS)
    assert found.take(TRAINS) is None, "1,200 MB of 1,000"
    assert found.take(Need(memory=200))
    # What has no room anywhere runs alone.
    assert places(a=OFFER).take(Need(memory=5000))


def test_memory_that_running_stages_use_counts_once():
    found = places(a=OFFER)
    assert found.take(TRAINS)
    found.update({"a": OFFER, "b": replace(OFFER, memory=600)})  # it came while the other one ran
    assert found.take(Need(memory=600)) and not found.take(Need())


def test_stages_that_compute_share_no_gpu():
    gpus = replace(OFFER, gpus=("0", "1"))
    found = places(a=gpus, b=gpus, c=gpus)
    assert [place and place.gpu for place in (found.take(Need(computes=True)) for _ in range(3))] == ["0", "1", None]
    assert found.take(Need()).gpu == "", "others run beside them"


def test_a_worker_that_is_gone_takes_no_room():
    found = places(a=OFFER, b=OFFER)
    found.take(Need(memory=900))
    found.update({"b": OFFER})
    assert found.take(Need(memory=900)).worker == "b"


def test_what_a_worker_differs_in_is_named():
    assert differences(OFFER, OFFER) == []
    assert differences(OFFER, replace(OFFER, packages={"mlx": "1"}, gpus=("0",))) == [], "machines differ"
    other = replace(OFFER, project=False, python="3.12", packages={"mlx": "2", "dvc": "3"}, code="x")
    assert differences(OFFER, other) == [
        "it was started in a folder that is no project",
        "Python 3.12 there, 3.11 here",
        "mlx 2 there, 1 here",
        "another version of Cantica: check out the same commit there and start the worker again",
    ]


def test_the_offer_of_this_process():
    own = own_offer()
    assert own.cores and own.memory > 0 and own.project and own.packages["mlx"] and "pytest" not in own.packages
    assert differences(own, own_offer()) == []


def test_memory_by_earlier_timings():
    timings = [{"stage": "train@a", "peak_mb": 10}, {"stage": "train@a", "peak_mb": 5}, {"stage": "train@b", "peak_mb": 7}]
    assert peaks(["train@a", "train@c", "fuse"], timings) == {"train@a": 5, "train@c": 7, "fuse": 0}
