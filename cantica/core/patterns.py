"""The check of every regular expression that a user writes."""

import re
from collections.abc import Iterable
from pathlib import Path

from cantica.core.errors import Problem


def pattern_faults(patterns: Iterable[tuple[str, str]], file: Path) -> list[Problem]:
    """A Problem for each pattern that is not a Python regular expression.

    patterns: (place in the file, pattern).
    """
    problems = []
    for place, pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            problems.append(Problem(str(file), place, f"{pattern!r}: {error}", "a Python regular expression"))
    return problems
