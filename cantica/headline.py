"""The few numbers of a build that stand in a commit message."""

from stages.lib.wording import level

# (title, place in metrics.json, digits after the point); * stands for every entry there.
HEADLINE = (
    ("loss", "loss", 3),
    ("judge", "judge.*", 2),
    ("refusals", "refusals", 0),
    ("preferred", "probe.preferred.all", 0),
    ("capability", "capability.*", 2),
)


def headline(metrics: dict) -> list[str]:
    """A line for each headline measure, with its value in every arm."""
    first, rows = next(iter(metrics.values())), []
    for title, place, digits in HEADLINE:
        for key in _places(first, place):
            values = [_at(numbers, key) for numbers in metrics.values()]
            name = title if key == place else f"{title} {key.split('.')[-1]}"
            rows.append((name, " → ".join(level(value, digits) if value else "–" for value in values)))
    width = max(len(name) for name, _ in rows)
    return [f"{' → '.join(metrics)}:", *(f"{name:{width}}  {values}" for name, values in rows)]


def _places(numbers: dict, place: str) -> list[str]:
    """The dotted places that a pattern stands for in an arm's numbers."""
    if not place.endswith(".*"):
        return [place] if _at(numbers, place) else []
    folder = place.removesuffix(".*")
    return [f"{folder}.{name}" for name in _at(numbers, folder) or {}]


def _at(numbers: dict, place: str) -> dict | None:
    for name in place.split("."):
        numbers = (numbers or {}).get(name)
    return numbers
