"""The words of an HTML page, for a terminal. Pure."""

import re
from html.parser import HTMLParser

BLOCKS = {
    "p",
    "div",
    "section",
    "h1",
    "h2",
    "h3",
    "h4",
    "ul",
    "ol",
    "table",
    "tr",
    "li",
    "details",
    "summary",
    "br",
    "pre",
    "dt",
    "dd",
}
SKIPPED = {"style", "script", "svg", "title"}
CELLS = {"td", "th"}


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.skipped = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.skipped += tag in SKIPPED
        self.parts.append(
            {"h1": "\n\n# ", "h2": "\n\n## ", "h3": "\n\n### ", "li": "\n- "}.get(tag, "\n" if tag in BLOCKS else "")
        )

    def handle_endtag(self, tag: str) -> None:
        self.skipped -= tag in SKIPPED
        self.parts.append("  " if tag in CELLS else "\n" if tag in BLOCKS else "")

    def handle_data(self, data: str) -> None:
        self.parts.append("" if self.skipped else re.sub(r"\s+", " ", data))


def page_text(html: str) -> str:
    """The text of a page: a line for each paragraph and each row of a table, without pictures."""
    words = _Words()
    words.feed(html)
    lines = (re.sub(r" {3,}", "  ", line).strip() for line in "".join(words.parts).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
