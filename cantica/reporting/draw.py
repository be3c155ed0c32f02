"""Draw charts as SVG within a page. The same chart gives the same bytes, without a network.

Vega measures text in a font to place it. FONT is one that vl-convert carries, so the machine's fonts change nothing; what
readers see is the font of the page.
"""

import re
from typing import Any

from markupsafe import Markup, escape

FONT = "Liberation Sans"
# Vega puts this before links that begin with "#".
BASE_OF_LINKS = "https://vega.github.io/vega-datasets/"
ROOT_TAG = re.compile(r'<svg [^>]*width="([\d.]+)" height="([\d.]+)"[^>]*>')
# What the page sets itself, or nobody reads.
UNUSED = re.compile(r' (?:font-family|pointer-events|class|role|aria-hidden|aria-roledescription)="[^"]*"| opacity="1"')
VERSION = "6.4"  # of Vega-Lite, the one of Altair
CONFIG = {
    "aria": False,  # the whole figure has one label, and its numbers stand in a table
    "background": None,
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--soft)",
        "titleColor": "var(--soft)",
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    },
    "legend": {"labelColor": "var(--soft)", "titleColor": "var(--soft)"},
    "text": {"color": "var(--ink)", "fontSize": 12},
}


def draw(chart: dict[str, Any], label: str, linked: bool = False, only: str = "") -> Markup:
    """Return a chart as an inline SVG.

    chart: a Vega-Lite specification. label: what a screen reader says. linked: whether the figure has links; they would be
    hidden in an image. only: "wide" or "narrow", if the figure is for one of the two.
    """
    from vl_convert import vegalite_to_svg

    text = vegalite_to_svg(chart | {"config": CONFIG}, vl_version=VERSION)
    found = ROOT_TAG.match(text)
    if not found:
        raise ValueError(f"not an SVG: {text[:80]}")
    width, height = found.groups()
    body = re.sub(r'<path class="(?:background|foreground)" [^>]*/>', "", text[found.end() :])
    body = UNUSED.sub("", body)
    body = body.replace(BASE_OF_LINKS, "").replace("xlink:href", "href")
    role = "group" if linked else "img"
    root = f'<svg class="chart {only}" viewBox="0 0 {width} {height}" style="max-width: {width}px" role="{role}" aria-label="'
    return Markup(f'{root}{escape(label)}">{body}')
