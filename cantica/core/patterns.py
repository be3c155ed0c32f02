"""Check the regular expressions in a user's files."""

import re
from collections.abc import Iterable
from pathlib import Path

from cantica.core.errors import Problem


def pattern_faults(patterns: Iterable[tuple[str, str]], file: Path) -> list[Problem]:
    """Return a Problem for each pattern that is not a Python regular expression.

    patterns: pairs (place in the file, pattern).
    """
    problems = []
    for place, pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            problems.append(Problem(str(file), place, f"{pattern!r}: {error}", "a Python regular expression"))
    return problems
