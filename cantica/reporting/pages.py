"""Write files that people read: tables as CSV, and pages from Jinja templates (by default those of this package)."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"


def as_csv(rows: list[dict[str, Any]], columns: Sequence[str]) -> str:
    """Return rows as CSV with a header, which is there even if there are no rows. Each row has exactly these columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def render(
    template: str, facts: Mapping[str, Any], filters: Iterable[Callable[..., Any]] = (), folder: Path = TEMPLATES
) -> str:
    """Return a filled template. HTML is escaped in templates named `*.html*`. Filters have their functions' names."""
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
