"""Text tables for the terminal."""

import textwrap
from collections.abc import Sequence

WIDTH = 128  # characters of a line


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Rows of equally many cells as lines; the first `left` columns are aligned to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if n < left else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def titled(title: str, rows: Sequence[Sequence[str]], indent: int = 12) -> list[str]:
    """Rows as lines, aligned to the left and indented, with a title in front of the first; no lines if there are no rows.

    Rows may have different numbers of cells. The last cell of a row goes on in the next line where it is too long; a no-break
    space in it is no place to break, and is printed as a space.
    """
    columns = max(map(len, rows), default=0)
    widths = [max((len(row[n]) for row in rows if len(row) > n + 1), default=0) for n in range(columns)]
    lines = []
    for *cells, last in rows:
        head = "".join(f"{cell:{width}}  " for cell, width in zip(cells, widths, strict=False))
        room = max(WIDTH - indent - len(head), 40)
        for part in textwrap.wrap(last, room, break_long_words=False, break_on_hyphens=False) or [""]:
            lines.append(f"{head}{part}".replace("\xa0", " ").rstrip())
            head = " " * len(head)
    return [f"{f'  {title}' if n == 0 else '':{indent}}{line}" for n, line in enumerate(lines)]
