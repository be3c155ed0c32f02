"""The frame of pictures beside pages: an SVG file on a card of its own, which is legible on light and dark pages. Pure."""

from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape

from cantica.reporting.figures import COLOURS, stroke

MARK = "<!-- Written by `cantica cite`"  # in each page and picture
# The same colours for a dark card, in the order of COLOURS.
LIGHTER = ("#6ea8ef", "#f0836f", "#57c08a", "#d9a441", "#b48ce8", "#4fc3d1", "#ef86c4", "#9fb0c3")
LIGHT = {"card": "#ffffff", "edge": "#b8c2cc", "ink": "#24292f", "muted": "#57606a", "faint": "#e6eaef", "on": "#ffffff"}
DARK = {"card": "#1c2128", "edge": "#58626d", "ink": "#e6edf3", "muted": "#a3afbb", "faint": "#343b45", "on": "#12161b"}
LETTER = 0.602  # the width of a letter of a monospaced font, in its size
STYLE = """
text {{ font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: var(--ink) }}
.muted {{ fill: var(--muted) }} .bold {{ font-weight: 700 }} .on {{ fill: var(--on) }} .small {{ font-size: 11px }}
.line {{ fill: none; stroke: var(--edge); stroke-width: 2 }} .grid {{ stroke: var(--faint) }}
.link {{ fill: none; stroke: var(--muted); stroke-width: 1.3; stroke-dasharray: 4 3 }}
svg {{ {light} }}
@media (prefers-color-scheme: dark) {{ svg {{ {dark} }} }}
"""


def card(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    """An SVG file with a background. title: for those who cannot see it."""
    light, dark = _variables(LIGHT, COLOURS), _variables(DARK, LIGHTER)
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    inner = f'x="0.5" y="0.5" width="{width - 1:.0f}" height="{height - 1:.0f}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"{MARK}; edits are lost. -->",
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE.format(light=light, dark=dark)}</style>",
        f'<rect {inner} rx="6" fill="var(--card)" stroke="var(--edge)"/>',
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def colour(number: int) -> str:
    """The colour of an arm by its number, the same in every picture."""
    return f"var(--c{number % len(COLOURS)})"


def dashes(number: int) -> str:
    """The dashes of an arm's line, so that arms of one colour differ."""
    return stroke(number)[1]


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """A line of text with its baseline at y. kind: its classes."""
    about = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor != "start" else "")
    return f'<text x="{x:.1f}" y="{y:.1f}"{about}>{escape(words)}</text>'


def wide(words: str, size: float = 12) -> float:
    """The width of a text."""
    return len(words) * LETTER * size


def _variables(shades: dict[str, str], colours: Sequence[str]) -> str:
    own = {**shades, **{f"c{n}": own for n, own in enumerate(colours)}}
    return " ".join(f"--{name}: {value};" for name, value in own.items())
