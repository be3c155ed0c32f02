"""Colours and lines of the report. Pure: numbers in, SVG or CSS out."""

Points = list[tuple[float, float]]


def shade(value: float, low: float, high: float) -> str:
    """A background colour for a cell: pale where the value is low, deep blue where it is high."""
    share = (value - low) / (high - low) if high > low else 0.0
    return f"hsl(212 {45 + 25 * share:.0f}% {96 - 46 * share:.0f}%)"


def axis(values: list[float]) -> tuple[float, float]:
    """Ends of an axis: a tenth beyond the lowest and the highest value."""
    margin = (max(values) - min(values)) / 10 or 0.1
    return min(values) - margin, max(values) + margin


def polyline(points: Points, width: int, height: int, low: float, high: float) -> str:
    """The points of an SVG polyline, scaled to a box from x = 0 to the last x, and from `low` at its foot to `high`."""
    last = points[-1][0]
    return " ".join(f"{x / last * width:.1f},{(high - y) / (high - low) * height:.1f}" for x, y in points)
