"""Files for people: tables as CSV, and templates, those of this package unless another folder is named."""

import csv
import io
from collections.abc import Callable, Iterable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"


def as_csv(rows: list[dict]) -> str:
    """Rows of equal keys as CSV with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def render(template: str, facts: dict, filters: Iterable[Callable] = (), folder: Path = TEMPLATES) -> str:
    """A template filled with facts, HTML escaped where its name says HTML; filters go by their functions' names."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=".html" in template,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {function.__name__: function for function in filters}
    environment.filters["words"] = lambda name: name.replace("_", " ")
    return environment.get_template(template).render(**facts)
