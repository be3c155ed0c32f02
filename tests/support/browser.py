"""Pages in a real browser: what it must find of every page."""

import shutil
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
WIDTHS = (420, 1200, 1600)


def violations(page: Any) -> list[tuple[str, str, str]]:
    """What axe-core finds that keeps somebody from reading the page."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [(own["id"], own["nodes"][0]["html"][:200], own["nodes"][0]["failureSummary"]) for own in found]


def unreadable(browse: Any, address: str) -> list[Any]:
    """What is wrong with a page, with all its details open, in light and dark and at any width."""
    found: list[Any] = []
    for scheme in ("light", "dark"):
        page = browse(address, 1200, scheme)
        page.evaluate("document.querySelectorAll('details').forEach(own => own.open = true)")
        found += violations(page)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            found += [f"scrolls at {width}"] if page.evaluate("document.documentElement.scrollWidth") > width else []
    return found
