"""Small pictures of intervals beside bounds, as SVG on one line, for pages in HTML and in Markdown. Pure.

Every interval has the colour of the text, whatever its verdict: none is to look weaker than another.
"""

from cantica.settings.claims import Bound

WIDTH, HEIGHT = 180, 16
MARGIN = 0.06  # of the width, at each end
CLAIMED, NEGLIGIBLE = "#1f5fa8", "#93a0ae"


def picture(value: float, interval: tuple[float, float] | None, bound: Bound, negligible: float | None = None) -> str:
    """An interval beside its bound. Each picture has its own scale.

    The side of the bound that is claimed is tinted, differences that do not matter are grey, and the line stands at the bound.
    """
    low, high = interval or (value, value)
    band = [] if negligible is None else [-negligible, negligible]
    marks = [value, low, high, bound.value, *band]
    start, end = min(marks), max(marks)
    length = (end - start) or 1.0

    def x(mark: float) -> str:
        return f"{WIDTH * (MARGIN + (1 - 2 * MARGIN) * (mark - start) / length):.1f}"

    def rect(left: str, right: str, fill: str, opacity: float) -> str:
        size = f'x="{left}" width="{float(right) - float(left):.1f}" height="{HEIGHT}"'
        return f'<rect {size} fill="{fill}" fill-opacity="{opacity}"/>'

    at = x(bound.value)
    claimed = (at, f"{WIDTH}") if bound.direction == "above" else ("0", at)
    parts = [rect(*claimed, CLAIMED, 0.1)]
    parts += [rect(x(band[0]), x(band[1]), NEGLIGIBLE, 0.35)] if band else []
    parts += [f'<line x1="{at}" x2="{at}" y2="{HEIGHT}" stroke="currentColor"/>']
    middle = f'y1="{HEIGHT // 2}" y2="{HEIGHT // 2}"'
    parts += [f'<line x1="{x(low)}" x2="{x(high)}" {middle} stroke="currentColor" stroke-width="2"/>'] if interval else []
    parts += [f'<circle cx="{x(value)}" cy="{HEIGHT // 2}" r="4" fill="currentColor"/>']
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    return f'<svg {size} role="img" aria-label="interval and bound">{"".join(parts)}</svg>'
