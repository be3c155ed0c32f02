"""The colours, dashes and axes of charts that are drawn by hand (`cantica.commands.experiments`). Pure."""

Points = list[tuple[float, float]]
COLOURS = ("#1f5fa8", "#b3412e", "#1c7a4a", "#8a5a00", "#6b3fa0", "#0f7c8a", "#c2408f", "#5d6b7a")
DASHES = ("none", "7 3", "2 3")


def stroke(number: int) -> tuple[str, str]:
    """Return the colour and dashes of a line in a chart. The first 24 lines all look different."""
    return COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]


def axis(values: list[float]) -> tuple[float, float]:
    """Return the ends of an axis: the lowest and the highest value, with a margin of a tenth of their distance."""
    margin = (max(values) - min(values)) / 10 or 0.1
    return min(values) - margin, max(values) + margin
