"""Exact checks of the answers to instructions."""

import re

_END = re.compile(r"(?<=[.!?])[\"”’']?\s+")


def first_failed(checks: list[dict], answer: str) -> str | None:
    """Return the first check that an answer fails, as `key: value`, or None if it passes all."""
    text = answer.strip()
    for check in checks:
        ((key, value),) = check.items()
        if not _CHECKS[key](text, value):
            return f"{key}: {value}"
    return None


def _plain(text: str) -> str:
    return text.strip().removesuffix(".").strip().lower()


def _sentences(text: str) -> int:
    return sum(1 for part in _END.split(text) if re.search(r"\w", part))


_CHECKS = {
    "equals": lambda text, value: _plain(text) == _plain(value),
    "starts_with": str.startswith,
    "ends_with": str.endswith,
    "matches": lambda text, value: re.search(value, text, re.IGNORECASE) is not None,
    "absent": lambda text, value: re.search(value, text, re.IGNORECASE) is None,
    "words_at_least": lambda text, value: len(text.split()) >= value,
    "words_at_most": lambda text, value: len(text.split()) <= value,
    "sentences": lambda text, value: _sentences(text) == value,
    "lines": lambda text, value: sum(1 for line in text.splitlines() if line.strip()) == value,
}
