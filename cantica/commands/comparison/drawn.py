"""The differences of groups of runs from the baseline, as the pictures and words of the report. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cantica.commands.comparison.rows import Row
from cantica.reporting import pictures
from cantica.reporting.effects import Effect
from cantica.reporting.measures import Measure


@dataclass(frozen=True)
class Difference(Effect):
    """The difference of a group from the baseline, by their names."""

    @property
    def items(self) -> str:
        """The fragment of the page with the numbers: the rows of the measure, or the table of its groups of items."""
        return f"#{'parts' if self.group else 'row'}-{place(self.measure)}"


def place(measure: Measure) -> str:
    """A measure in the ids of the page."""
    return measure.key.replace(".", "-")


def comparisons(rows: Sequence[Row], first: str, others: Iterable[str]) -> list[pictures.Comparison]:
    """The differences of each other group from the first; of a group without any, none."""
    found = {name: list(differences(rows, first, name)) for name in others}
    return [pictures.of_effects(own, name, first) for name, own in found.items() if own]


def differences(rows: Iterable[Row], first: str, name: str) -> Iterator[Effect]:
    """Each measure that both have, followed by its groups of items."""
    for row in rows:
        if row.differences.get(name, {}).get("n"):
            yield Difference(row.measure, name, first, row.differences[name])
            for part, (_, of_part) in row.parts.items():
                if of_part.get(name, {}).get("n"):
                    yield Difference(row.measure, name, first, of_part[name], part)
