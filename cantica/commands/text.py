"""Small pieces of text that several commands print."""

import json
import re
import textwrap

SHORT = 60  # characters of a value


def counted(number: int, noun: str) -> str:
    """1 step, 2 steps."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """8 s, 2 min 5 s, 3 h 20 min."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def few(names: list[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names) if len(names) <= most + 1 else f"{', '.join(names[:most])} and {len(names) - most} more"


def short(value: object) -> str:
    """A hash by its first eight digits, any other value as it would stand in YAML."""
    if not isinstance(value, str):
        return textwrap.shorten(json.dumps(value, ensure_ascii=False), SHORT, placeholder=" …")
    digits = value.removesuffix(".dir")
    return digits[:8] if re.fullmatch(r"[0-9a-f]{32}", digits) else value


def flow(value: object) -> str:
    """A param's value on one line, as params.yaml would have it. No-break spaces keep each key with its value."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}:\xa0{flow(child)}" for key, child in value.items()) + "}"
    return short(value)
