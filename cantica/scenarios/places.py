"""Where in a template's two files the text of a rendered scenario stands, for error messages."""

import re
from pathlib import Path

from cantica.core.documents import read_text

CHOICE = re.compile(r"(\w+) (\d+)")  # a slot and the number of its value, in an origin


def block_line(template: Path, block: str) -> int | None:
    """Return the line of a template in which a block begins; None if there is none."""
    lines = read_text(template).splitlines() if template.exists() else []
    begins = re.compile(rf"\{{%-?\s*block\s+{re.escape(block)}\b")
    return next((number for number, line in enumerate(lines, 1) if begins.search(line)), None)


def values_text(origin: str) -> str:
    """Return where the slot values of a scenario stand, as in "ask.yaml: case 3 in line 7"; "" if there is no choice."""
    from ruamel.yaml import YAML

    name, _, choices = origin.partition(": ")
    file = Path(name).with_suffix(".yaml")
    if not choices or not file.exists():
        return ""
    slots = YAML().load(read_text(file))["slots"]  # with the lines of its items
    found = [f"{slot} {n} in line {slots[slot].lc.item(int(n) - 1)[0] + 1}" for slot, n in CHOICE.findall(choices)]
    return f"{file.name}: {', '.join(found)}"
