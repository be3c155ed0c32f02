"""What is measured of arms, in one form: a table {item: value} for each arm. Pure.

From it follow a mean or share with its interval, and the paired difference of one arm from another, over all items and over
each group of them. Beside both stands what may mislead: answers that were cut, and groups that go opposite ways.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from statistics import fmean

from cantica.reporting import inference

Table = dict[str, float]
# By so much the shares of answers that were cut, or never finished their thinking, may differ between two arms. Beyond it
# nothing is concluded: a test would let pass what few answers cannot show.
TOLERANCE = 0.05


@dataclass(frozen=True)
class Ending:
    """How an answer came out that a value was read from: None where that is not known, or is nothing to the measure.

    id: of the item. cut: it hit the limit of tokens. unfinished: its thinking never closed, so that nothing was answered.
    floored: it has the lowest score there is.
    """

    id: str
    cut: bool | None = None
    unfinished: bool | None = None
    floored: bool | None = None


COUNTED = ("cut", "unfinished", "floored")


@dataclass(frozen=True)
class Measure:
    """What was measured of every item under every arm.

    key: where its numbers stand under an arm in details.json, and in its section `against_<first arm>`; dotted.
    whole: the name of the entry for all items, beside those of the groups; "" puts it at `key` itself. In metrics.json, which
    has no groups, it always stands at `key`.
    groups: the group of an item, for items that have one. share: the values are shares, from 0 to 1, or differences of
    shares. within: the values are differences already, within an arm (with a trigger and without), so that a level is
    their paired difference from 0. digits: how many a reader is shown after the point. endings: of each arm, how the answers
    came out that its values were read from. lexical: the rules said it, which see words and not meaning.
    """

    key: str
    title: str
    tables: dict[str, Table]
    groups: dict[str, str] = field(default_factory=dict)
    whole: str = ""
    share: bool = False
    within: bool = False
    digits: int = 2
    endings: dict[str, list[Ending]] = field(default_factory=dict)
    lexical: bool = False

    @property
    def place(self) -> str:
        """Where the entry for all items stands in details.json."""
        return f"{self.key}.{self.whole}" if self.whole else self.key

    def nested(self, whole: dict, groups: dict[str, dict]) -> dict:
        """The entries for all items and for the groups, nested as `key` says."""
        entries = ({self.whole: whole} if self.whole else whole) | groups
        for name in reversed(self.key.split(".")):
            entries = {name: entries}
        return entries


def items(records: list[dict], value: Callable[[dict], float | None]) -> Table:
    """{id: value}: what `value` gives for a record, averaged over the samples of one id. Records without one are left out."""
    found: dict[str, list[float]] = {}
    for record in records:
        if (one := value(record)) is not None:
            found.setdefault(record["id"], []).append(one)
    return {id_: fmean(values) for id_, values in found.items()}


def endings(answers: list[dict]) -> list[Ending]:
    """How answers came out, whatever they score."""
    return [Ending(a["id"], not a["ended"], not a["thinking_finished"]) for a in answers]


def scored_endings(answers: list[dict], scores: list[dict]) -> list[Ending]:
    """How the answers that have a score came out."""
    known = {(s["id"], s["sample"]): s["score"] for s in scores if s["score"] is not None}
    of_answers = {(a["id"], a["sample"]): one for a, one in zip(answers, endings(answers), strict=True)}
    return [replace(of_answers[answer], floored=score == 0) for answer, score in known.items() if answer in of_answers]


def levels(measure: Measure, arm: str, draws: dict[str, int]) -> dict:
    """Mean, share or difference from 0 of all items and of each group, with interval and n, and how many answers were cut."""

    def level(table: Table) -> dict:
        return _level(measure, table, draws) | counts(_of_items(measure.endings.get(arm, []), table))

    parts = _by_group(measure.tables[arm], measure.groups)
    return measure.nested(level(measure.tables[arm]), {group: level(part) for group, part in parts.items()})


def _level(measure: Measure, table: Table, draws: dict[str, int]) -> dict:
    if measure.within:
        return inference.paired(dict.fromkeys(table, 0.0), table, **draws)
    return inference.share(table.values()) if measure.share else inference.mean(table.values(), **draws)


def differences(measure: Measure, first: str, second: str, draws: dict[str, int]) -> dict:
    """The paired difference over all items and over those of each group, whose p are adjusted for their number (Holm).

    With `unequal` where the answers did not end alike, and with `opposed` where groups go opposite ways.
    """
    before, after = (measure.endings.get(arm, []) for arm in (first, second))

    def difference(table: Table) -> dict:
        both = table.keys() & measure.tables[second]
        entry = inference.paired(table, measure.tables[second], **draws)
        return entry | marked("unequal", unequal_endings({first: _of_items(before, both), second: _of_items(after, both)}))

    parts = _by_group(measure.tables[first], measure.groups)
    groups = {group: difference(part) for group, part in parts.items()}
    adjusted = inference.holm({group: entry["p"] for group, entry in groups.items() if "p" in entry})
    groups = {group: entry | ({"p": adjusted[group]} if group in adjusted else {}) for group, entry in groups.items()}
    return measure.nested(difference(measure.tables[first]) | marked("opposed", opposed(groups)), groups)


def counts(endings: list[Ending]) -> dict[str, int]:
    """{"cut", "unfinished", "floored"}: how many answers are each, where that is known of any."""
    found = {kind: [value for one in endings if (value := getattr(one, kind)) is not None] for kind in COUNTED}
    return {kind: sum(values) for kind, values in found.items() if values}


def unequal_endings(sides: dict[str, list[Ending]]) -> dict[str, dict[str, int]]:
    """Where answers of two sides did not end alike: {"cut" or "unfinished": {side: how many}, "of": {side: all}}.

    A kind stands there where its shares differ by more than TOLERANCE; {} where none does. Answers at the lowest score are no
    such kind: that they are more may be what was to be found.
    """
    told = {side: counts(endings) for side, endings in sides.items()}
    answers = {side: len(endings) for side, endings in sides.items()}
    found = {}
    for kind in ("cut", "unfinished"):
        if all(kind in told[side] for side in sides):
            shares = [told[side][kind] / answers[side] for side in sides]
            if max(shares) - min(shares) > TOLERANCE + 1e-9:
                found[kind] = {side: told[side][kind] for side in sides}
    return found | ({"of": answers} if found else {})


def opposed(groups: dict[str, dict]) -> dict[str, float]:
    """The differences of the groups whose intervals exclude 0, where some are above 0 and some below; else {}.

    Groups of fewer than FEWEST items have no say: the interval of two alike values excludes whatever they are not.
    """
    clear = {
        group: entry["difference"]
        for group, entry in groups.items()
        if entry["n"] >= inference.FEWEST and not entry["low"] <= 0 <= entry["high"]
    }
    return clear if len({value > 0 for value in clear.values()}) == 2 else {}


def marked(name: str, found: dict) -> dict:
    """The mark of an entry, where there is something to mark."""
    return {name: found} if found else {}


def _of_items(endings: list[Ending], items: Iterable[str]) -> list[Ending]:
    known = set(items)
    return [one for one in endings if one.id in known]


def _by_group(table: Table, groups: dict[str, str]) -> dict[str, Table]:
    parts: dict[str, Table] = {}
    for item, value in table.items():
        if item in groups:
            parts.setdefault(groups[item], {})[item] = value
    return parts
