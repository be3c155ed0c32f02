"""How far judges agree: the rules, judges that are models, and scores that people gave or published."""

from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from cantica.kappa import cohen_kappa, squared
from cantica.scores import Scores, load_file, load_scores, preferences
from stages.lib.common.documents import read_yaml
from stages.lib.params import FILE

PREFERENCES = {1.0: "first", 0.5: "tie", 0.0: "second"}


@dataclass(frozen=True)
class Agreement:
    """Of two judges on the prompts of one kind. A figure is None where it is not defined.

    null: items that both were to score and one of them has no score for; they are left out of everything else.
    table: numbers of items by (score of the first, score of the second).
    """

    first: str
    second: str
    kind: str
    pairwise: bool
    null: int
    table: Counter
    exact: float | None
    kappa: float | None
    weighted: float | None
    spearman: float | None

    @property
    def number(self) -> int:
        """Items that both scored."""
        return self.table.total()


def agreement(file: Path | None) -> str:
    """The agreement of every two judges of the build, and of each with a file of scores, for the terminal."""
    scores, kinds = load_scores()
    if file:
        scores.append(load_file(file, scores[0], kinds))
    arms = list(read_yaml(FILE)["arms"])
    width = max(len(judge.name) for judge in scores)
    told = [f"{judge.name:{width}}  {judge.told()}" for judge in scores]
    if len(scores) == 1:
        return "\n".join(
            [*told, "", "there is no one to agree with: add a judge to `judges` in params.yaml, or name a FILE of scores"]
        )
    found = []
    for first, second in combinations(scores, 2):
        agreements = compare(first, second, kinds, arms)
        found += agreements
        told += [] if agreements else [f"{first.name} and {second.name} have nothing in common to agree on"]
    return "\n".join([*told, "", *summary(found), *[line for one in found for line in ("", *confusion(one))]])


def compare(first: Scores, second: Scores, kinds: dict[str, str], arms: list[str]) -> list[Agreement]:
    """One Agreement for each kind of prompt that both judged. With a pairwise judge, the other's scores become preferences."""
    pairwise = first.pairwise or second.pairwise
    if pairwise:
        first, second = preferences(first, arms), preferences(second, arms)
    shared = [unit for unit in first.values if unit in second.values]
    found = []
    for kind in sorted({kinds[unit[-2]] for unit in shared}):
        pairs = [(first.values[unit], second.values[unit]) for unit in shared if kinds[unit[-2]] == kind]
        scored = [pair for pair in pairs if None not in pair]
        one, two = [a for a, _ in scored], [b for _, b in scored]
        # Four criteria and three are two scales: they have an order in common, and no more.
        one_scale = first.scale.get(kind) == second.scale.get(kind) or not (first.scale and second.scale)
        figures = {
            "exact": sum(a == b for a, b in scored) / len(scored) if scored and one_scale else None,
            "kappa": cohen_kappa(one, two) if one_scale else None,
            "weighted": cohen_kappa(one, two, squared) if one_scale else None,
            "spearman": spearman(one, two),
        }
        null = len(pairs) - len(scored)
        found.append(Agreement(first.name, second.name, kind, pairwise, null, Counter(scored), **figures))
    return found


def spearman(first: list[float], second: list[float]) -> float | None:
    """Spearman's rank correlation, ties at their mean rank; None when a judge gave one score throughout."""
    if len(set(first)) < 2 or len(set(second)) < 2:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(first, second).statistic)


def summary(found: list[Agreement]) -> list[str]:
    """A line of figures for each Agreement, under a heading."""
    rows = [("judges", "on", "n", "null", "exact", "kappa", "weighted", "Spearman")]
    for one in found:
        figures = [_figure(value) for value in (one.kappa, one.weighted, one.spearman)]
        exact = "–" if one.exact is None else f"{one.exact:.0%}"
        rows.append((f"{one.first} · {one.second}", _what(one), str(one.number), str(one.null), exact, *figures))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            f"{cell:{width}}" if n < 2 else f"{cell:>{width}}" for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def confusion(one: Agreement) -> list[str]:
    """The table of an Agreement: a row for each score of the first judge, a column for each of the second."""
    rows = sorted({a for a, _ in one.table}, reverse=one.pairwise)
    columns = sorted({b for _, b in one.table}, reverse=one.pairwise)
    names = {score: PREFERENCES[score] if one.pairwise else f"{score:g}" for score in [*rows, *columns]}
    left = 2 + max([len(names[row]) for row in rows], default=0)
    width = max([len(names[column]) for column in columns] + [len(str(n)) for n in one.table.values()], default=0) + 2
    lines = [f"{_what(one)}: rows {one.first}, columns {one.second}"]
    lines.append(" " * left + "".join(f"{names[column]:>{width}}" for column in columns))
    for row in rows:
        lines.append(f"{names[row]:>{left}}" + "".join(f"{one.table[row, column]:>{width}}" for column in columns))
    return lines


def _what(one: Agreement) -> str:
    return f"{one.kind}, which arm is better" if one.pairwise else one.kind


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
