"""What the page of an experiment says beside its numbers: the words of variants in the working tree.

Words may be mended at any time. Numbers come from cited runs alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cantica.commands.variants.files import WORDS, file_faults, load_variant, names, parts
from cantica.commands.variants.listing import miniature_of
from cantica.core.documents import raise_any


@dataclass(frozen=True)
class Words:
    """The words of one variant.

    own: its section `experiment`, with what it leaves out taken from the experiment that it is over; {} if it is no experiment,
    or its file is gone. full: {name: file} of the variants with its full-size settings.
    """

    own: dict[str, Any] = field(default_factory=dict)
    full: dict[str, dict[str, Any]] = field(default_factory=dict)


def read_words(variants: Iterable[str]) -> dict[str, Words]:
    """The words of variants; of several laid over each other there are none. Raises InputError if a file is broken."""
    variants = list(variants)
    files = {name: load_variant(name) for name in names()}
    raise_any([problem for variant in variants if variant in files for problem in file_faults(variant)])
    of = {name: miniature_of(name) for name, file in files.items() if "experiment" in file}
    found = {}
    for variant in variants:
        full = {name: files[name] for name, miniature in of.items() if miniature == variant != name}
        found[variant] = Words(_own(variant), full) if variant in of else Words()
    return found


def _own(name: str) -> dict[str, Any]:
    """The section of an experiment, with what it takes from those that it is over."""
    below = [load_variant(part).get("experiment", {}) for part in parts(name)]
    taken = {key: section[key] for section in below for key in WORDS if key in section}
    return taken | below[-1]
