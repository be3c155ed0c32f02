"""Write files that people read: tables as CSV, and pages from Jinja templates, those of this package and of others."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cantica.reporting import palette

TEMPLATES = Path(__file__).parent / "templates"


def as_csv(rows: list[dict[str, Any]], columns: Sequence[str]) -> str:
    """Return rows as CSV with a header, which is there even if there are no rows. Each row has exactly these columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def render(
    template: str, facts: Mapping[str, Any], filters: Iterable[Callable[..., Any]] = (), folder: Path | None = None
) -> str:
    """Return a filled template. HTML is escaped in templates named `*.html*`. Filters have their functions' names.

    folder: of the template, if it is not one of this package; it may extend and include those.
    """
    environment = Environment(
        loader=FileSystemLoader([folder, TEMPLATES] if folder else TEMPLATES),
        autoescape=".html" in template,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"colours": palette.variables}
    environment.filters |= {function.__name__: function for function in filters}
    environment.filters["words"] = lambda name: name.replace("_", " ")
    return environment.get_template(template).render(**facts)
