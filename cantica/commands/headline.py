"""The headline numbers of an arm, by place, from a metrics.json of any age; and those that a commit message gives. Pure."""

from cantica.reporting import wording

SHOWN = ("loss_nats", "judge", "refusals", "probe.preferred", "capability")  # where few are shown
WHOLE = ("all", "answers")  # the entry for all items, where it stood beside those of groups
# What places were called before units stood in their names.
RENAMED = {
    "loss": "loss_nats",
    "probe.margin": "probe.margin_nats",
    "capability.prose": "capability.prose_nats",
    "forgetting": "forgetting_nats",
    "backward_transfer": "backward_transfer_nats",
}


def entries(numbers) -> dict[str, dict]:
    """{place: entry} of the means, shares and differences over all items of an arm, in whatever form they were then.

    Before there was details.json, entries for all items stood beside those of their groups; before there were intervals, some
    were plain numbers.
    """
    return {RENAMED.get(place, place): entry for place, entry in _entries(numbers)}


def _entries(numbers, place: str = ""):
    if not isinstance(numbers, dict):
        return
    if numbers.keys() & {"mean", "share", "difference"}:
        yield place, numbers
        return
    # "answers" is also the name of a section of the arm, about how they ended.
    whole = next((numbers[name] for name in WHOLE if place and name in numbers), None)
    if whole is not None:
        yield from [(place, {"mean": whole})] if isinstance(whole, int | float) else _entries(whole, place)
        return
    for name, child in numbers.items():
        if not name.startswith("against_"):
            yield from _entries(child, f"{place}.{name}" if place else name)


def shown(places) -> list[str]:
    """Of some places those SHOWN."""
    return [place for place in places if any(f"{place}.".startswith(f"{root}.") for root in SHOWN)]


def title(place: str) -> str:
    """What a place is called."""
    return place.replace(".", " ").replace("_", " ")


def number(entry: dict) -> float:
    """The mean, share or difference of an entry."""
    return next(entry[name] for name in ("mean", "share", "difference") if name in entry)


def value(entry: dict | None) -> str:
    """The number of an entry as it reads, to three places; nothing where there is none."""
    return "" if not entry else wording.level({"n": 1} | entry, 3)


def headline(arms: dict) -> list[str]:
    """What a commit message gives of a metrics.json: a line for each place SHOWN, with its value in every arm."""
    found = {arm: entries(numbers) for arm, numbers in arms.items()}
    places = shown(dict.fromkeys(place for own in found.values() for place in own))
    width = max((len(title(place)) for place in places), default=0)
    rows = (f"{title(p):{width}}  {' → '.join(value(own.get(p)) or '–' for own in found.values())}" for p in places)
    return [f"{' → '.join(arms)}:", *rows]
