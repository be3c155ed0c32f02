"""The headline numbers of an arm, from a metrics.json. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from cantica.commands.table import aligned
from cantica.probes.behaviours import MINUS
from cantica.reporting import wording
from cantica.reporting.inference import Estimate

SHOWN = ("loss_nats", "judge", "refusals", "probe.preferred", "behaviours", "capability")  # in summaries

NUMBERS = {"mean", "share", "difference"}  # the keys of an estimate of which it has one


def entries(numbers: Any, place: str = "") -> dict[str, Estimate]:
    """{place: estimate} of the measures of an arm in metrics.json, over all items and without differences from other arms.

    A place is the dotted path under the arm. What has another form, as in commits of earlier versions, is left out.
    """
    if not isinstance(numbers, dict):
        return {}
    if numbers.keys() & NUMBERS:
        return {place: cast(Estimate, numbers)} if "n" in numbers else {}
    children = {f"{place}.{name}" if place else name: child for name, child in numbers.items() if name[:8] != "against_"}
    return {path: entry for name, child in children.items() for path, entry in entries(child, name).items()}


def shown(places: Iterable[str]) -> list[str]:
    """Those places that summaries show: of behaviours only the levels, not the differences between conditions."""
    return [place for place in places if any(f"{place}.".startswith(f"{root}.") for root in SHOWN) and MINUS not in place]


def title(place: str) -> str:
    """A place as a heading."""
    return place.removeprefix("behaviours.").replace(".", " ").replace("_", " ")


def number(entry: Mapping[str, Any]) -> float:
    """The mean, share or difference of an entry."""
    return next(entry[key] for key in entry if key in NUMBERS)


def value(entry: Estimate | None) -> str:
    """The number of an entry as text, to three places; "" where there is none."""
    return wording.level(entry, 3) if entry else ""


def headline(arms: dict[str, Any]) -> list[str]:
    """A metrics.json in short, for a commit message: a line for each place SHOWN, with its value in every arm."""
    found = {arm: entries(numbers) for arm, numbers in arms.items()}
    places = shown(dict.fromkeys(place for own in found.values() for place in own))
    rows = [(title(place), " → ".join(value(own.get(place)) or "–" for own in found.values())) for place in places]
    return [f"{' → '.join(arms)}:", *aligned(rows, left=2)]
