"""How far judges agree: the rules, judges that are models, and scores that people gave or published."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from statistics import fmean

from cantica.commands.judges.correlation import interval, spearman
from cantica.commands.judges.kappa import cohen_kappa, squared
from cantica.commands.judges.scored_answers import holds_answers, load_answers
from cantica.commands.judges.scores import RULES, Scores, load_file, load_scores, preferences
from cantica.core.documents import read_yaml
from cantica.core.files import write_json
from cantica.core.params import FILE
from cantica.judging.lexical import digest, load_agreement
from cantica.judging.rules import load_rules

PREFERENCES = {1.0: "first", 0.5: "tie", 0.0: "second"}
RULES_FILE, MEASURED = Path("prompts/judge/rules.yaml"), Path("prompts/judge/agreement.json")


@dataclass(frozen=True)
class Agreement:
    """Of two judges on the prompts of one kind. A figure is None where it is not defined.

    null: items that both were to score and one of them has no score for; they are left out of everything else.
    table: numbers of items by (score of the first, score of the second).
    span: the 95% interval of `spearman`. arms: the same of each arm's answers alone, where there are several.
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
    span: tuple[float, float] | None = None
    arms: dict[str, "Agreement"] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """Items that both scored."""
        return self.table.total()


def agreement(file: Path | None, record: bool) -> str:
    """The means of every judge, and the agreement of every two, for the terminal.

    Judges are those of this build with those of a file of scores; or, of a file of answers, the rules and whoever scored
    them there. record: write the agreement of the rules with each other judge of single answers to `MEASURED`.
    """
    if file and holds_answers(file):
        scores, kinds, arms = load_answers(file, load_rules(RULES_FILE))
    else:
        scores, kinds = load_scores()
        scores += [load_file(file, scores[0], kinds)] if file else []
        arms = list(read_yaml(FILE)["arms"])
    width = max(len(judge.name) for judge in scores)
    told = [*(f"{judge.name:{width}}  {judge.told()}" for judge in scores), "", *means(scores, kinds, arms), ""]
    if len(scores) == 1:
        return "\n".join(
            [*told, "there is no one to agree with: add a judge to `judges` in params.yaml, or name a FILE of scores"]
        )
    found = []
    for first, second in combinations(scores, 2):
        agreements = compare(first, second, kinds, arms)
        found += agreements
        told += [] if agreements else [f"{first.name} and {second.name} have nothing in common to agree on", ""]
    told += summary(found)
    for one in found:
        told += ["", *confusion(one)]
    if record:
        told += ["", write_measured(found, file.name if file else "the answers of this build")]
    return "\n".join(told)


def compare(first: Scores, second: Scores, kinds: dict[str, str], arms: list[str]) -> list[Agreement]:
    """One Agreement for each kind of prompt that both judged. With a pairwise judge, the other's scores become preferences."""
    if first.pairwise or second.pairwise:
        first, second = preferences(first, arms), preferences(second, arms)
    shared = [unit for unit in first.values if unit in second.values]
    found = []
    for kind in sorted({kinds[unit[-2]] for unit in shared}):
        units = [unit for unit in shared if kinds[unit[-2]] == kind]
        of = {} if first.pairwise else {arm: [unit for unit in units if unit[0] == arm] for arm in arms}
        of = {arm: own for arm, own in of.items() if own and len(own) < len(units)}
        by_arm = {arm: _agreement(first, second, kind, own) for arm, own in of.items()}
        found.append(_agreement(first, second, kind, units, by_arm))
    return found


def _agreement(first: Scores, second: Scores, kind: str, units: Sequence[tuple], arms: dict | None = None) -> Agreement:
    scored = [unit for unit in units if None not in (first.values[unit], second.values[unit])]
    one, two = [first.values[unit] for unit in scored], [second.values[unit] for unit in scored]
    # Four criteria and three are two scales: they have an order in common, and no more.
    one_scale = first.scale.get(kind) == second.scale.get(kind) or not (first.scale and second.scale)
    figures = {
        "exact": sum(a == b for a, b in zip(one, two, strict=True)) / len(scored) if scored and one_scale else None,
        "kappa": cohen_kappa(one, two) if one_scale else None,
        "weighted": cohen_kappa(one, two, squared) if one_scale else None,
        "spearman": spearman(one, two),
        "span": interval(one, two, [unit[-2] for unit in scored]),
    }
    table, null = Counter(zip(one, two, strict=True)), len(units) - len(scored)
    return Agreement(first.name, second.name, kind, first.pairwise, null, table, **figures, arms=arms or {})


def means(scores: list[Scores], kinds: dict[str, str], arms: list[str]) -> list[str]:
    """A line for each judge of single answers and kind of prompt: its highest score, and the mean and n of each arm."""
    rows = [("mean score", "on", "out of", *arms)]
    for judge in scores:
        for kind in [] if judge.pairwise else dict.fromkeys(kinds[id_] for _, id_, _ in judge.values):
            cells = []
            for arm in arms:
                own = [s for (of, id_, _), s in judge.values.items() if of == arm and kinds[id_] == kind and s is not None]
                cells.append(f"{fmean(own):.2f} (n = {len(own)})" if own else "–")
            rows.append((judge.name, kind, f"{judge.scale[kind]:g}" if kind in judge.scale else "–", *cells))
    return _columns(rows)


def summary(found: list[Agreement]) -> list[str]:
    """Under a heading, a line of figures for each Agreement, on all answers and on those of each arm."""
    rows = [("judges", "on", "of", "n", "null", "exact", "kappa", "weighted", "Spearman")]
    for one in found:
        for arm, part in {"all": one, **one.arms}.items():
            exact = "–" if part.exact is None else f"{part.exact:.0%}"
            span = f" [{part.span[0]:.2f}, {part.span[1]:.2f}]" if part.span else ""
            figures = (_figure(part.kappa), _figure(part.weighted), _figure(part.spearman) + span)
            rows.append((f"{one.first} · {one.second}", _what(one), arm, str(part.number), str(part.null), exact, *figures))
    return _columns(rows)


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
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


def write_measured(found: list[Agreement], answers: str) -> str:
    """Put the agreement of the rules with each judge of single answers into `MEASURED`, and say so.

    What is there of the same kind and judge is replaced, and what was measured with other rules goes.
    """
    current = digest(RULES_FILE)
    kept = {(one["kind"], one["against"]): one for one in load_agreement(MEASURED) if one["rules"] == current}
    new = [one for one in found if one.first == RULES and not one.pairwise and one.number]
    for one in new:
        low, high = one.span or (None, None)
        figures = {"n": one.number, "spearman": one.spearman, "low": low, "high": high}
        figures = {key: value if value is None else round(value, 4) for key, value in figures.items()}
        about = {"kind": one.kind, "against": one.second}
        kept[one.kind, one.second] = about | figures | {"answers": answers, "rules": current}
    write_json(MEASURED, [kept[key] for key in sorted(kept)])
    counted = f"{len(new)} {'figure' if len(new) == 1 else 'figures'}"
    return f"{MEASURED}: {counted} for the report and the model card, which `dvc repro report` writes"


def _what(one: Agreement) -> str:
    return f"{one.kind}, which arm is better" if one.pairwise else one.kind


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
