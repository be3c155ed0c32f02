"""Colours and lines of the report. Pure: numbers in, SVG or CSS out."""

Points = list[tuple[float, float]]
COLOURS = ("#1f5fa8", "#b3412e", "#1c7a4a", "#8a5a00", "#6b3fa0", "#0f7c8a", "#c2408f", "#5d6b7a")
DASHES = ("none", "7 3", "2 3")


def stroke(number: int) -> tuple[str, str]:
    """Colour and dashes of a line of a chart: alike for no two of the first 24."""
    return COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]


def shade(value: float, low: float, high: float) -> str:
    """A background colour for a cell: pale where the value is low, deep blue where it is high."""
    share = (value - low) / (high - low) if high > low else 0.0
    return f"hsl(212 {45 + 25 * share:.0f}% {96 - 46 * share:.0f}%)"


def axis(values: list[float]) -> tuple[float, float]:
    """Ends of an axis: a tenth beyond the lowest and the highest value."""
    margin = (max(values) - min(values)) / 10 or 0.1
    return min(values) - margin, max(values) + margin


def polyline(points: Points, width: int, height: int, last: float, low: float, high: float) -> str:
    """The points of an SVG polyline, scaled to a box from x = 0 to `last`, and from `low` at its foot to `high`."""
    return " ".join(f"{x / last * width:.1f},{(high - y) / (high - low) * height:.1f}" for x, y in points)
