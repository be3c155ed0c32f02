"""`cantica agreement`: inter-rater agreement of the rules, models as judges, and scores by people or others."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from statistics import fmean

from cantica.commands.judges.correlation import interval, spearman
from cantica.commands.judges.kappa import cohen_kappa, squared
from cantica.commands.judges.scored_answers import holds_answers, load_answers
from cantica.commands.judges.scores import RULES, Scores, load_file, load_scores, preferences
from cantica.commands.table import aligned
from cantica.commands.text import counted
from cantica.core.documents import read_yaml
from cantica.core.files import write_json
from cantica.core.params import FILE
from cantica.judging.rules import load_rules
from cantica.judging.rules_agreement import digest, load_agreement
from cantica.settings.arms import all_arms

PREFERENCES = {1.0: "first", 0.5: "tie", 0.0: "second"}
RULES_FILE, MEASURED = Path("prompts/judge/rules.yaml"), Path("prompts/judge/agreement.json")


@dataclass(frozen=True)
class Agreement:
    """The agreement of two judges on the prompts of one kind. A figure is None where it is not defined.

    null: items without a score of one of the judges; they count in nothing else.
    table: numbers of items by (score of the first, score of the second).
    exact: share of equal scores. kappa, weighted: Cohen's, and with quadratic weights. span: the 95% interval of `spearman`.
    arms: the agreement on the responses of each arm alone, where there are several arms.
    """

    first: str
    second: str
    kind: str
    pairwise: bool
    null: int
    table: Counter[tuple[float, float]]
    exact: float | None
    kappa: float | None
    weighted: float | None
    spearman: float | None
    span: tuple[float, float] | None = None
    arms: dict[str, "Agreement"] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """Items that both judges scored."""
        return self.table.total()

    @property
    def title(self) -> str:
        return f"{self.kind}, which arm is better" if self.pairwise else self.kind


def agreement(file: Path | None, record: bool) -> str:
    """The means of every judge and the agreement of every two, for the terminal.

    The judges are those of this build and those of a file of scores; or, for a file of responses, the rules and the judges in
    the file. record: write the agreement of the rules with each other judge of single responses to `MEASURED`.
    """
    if file and holds_answers(file):
        scores, kinds, arms = load_answers(file, load_rules(RULES_FILE))
    else:
        scores, kinds = load_scores()
        scores += [load_file(file, scores[0], kinds)] if file else []
        arms = all_arms(read_yaml(FILE))
    text = [*aligned([(judge.name, judge.describe()) for judge in scores], left=2), "", *means(scores, kinds, arms), ""]
    if len(scores) == 1:
        return "\n".join([*text, "only one judge: add one to `judges` in params.yaml, or name a FILE of scores"])
    found: list[Agreement] = []
    for first, second in combinations(scores, 2):
        agreements = compare(first, second, kinds, arms)
        found += agreements
        text += [] if agreements else [f"{first.name} and {second.name} scored no response in common", ""]
    text += summary(found)
    for one in found:
        text += ["", *confusion(one)]
    if record:
        text += ["", write_measured(found, file.name if file else "the answers of this build")]
    return "\n".join(text)


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


def _agreement(
    first: Scores, second: Scores, kind: str, units: Sequence[tuple], arms: dict[str, Agreement] | None = None
) -> Agreement:
    pairs = [(first.values[unit], second.values[unit], unit[-2]) for unit in units]
    scored = [(a, b, prompt) for a, b, prompt in pairs if a is not None and b is not None]
    one, two, prompts = [a for a, _, _ in scored], [b for _, b, _ in scored], [prompt for *_, prompt in scored]
    # Four criteria and three are two scales: only their order can be compared.
    one_scale = first.scale.get(kind) == second.scale.get(kind) or not (first.scale and second.scale)
    return Agreement(
        first.name,
        second.name,
        kind,
        first.pairwise,
        null=len(units) - len(scored),
        table=Counter(zip(one, two, strict=True)),
        exact=sum(a == b for a, b, _ in scored) / len(scored) if scored and one_scale else None,
        kappa=cohen_kappa(one, two) if one_scale else None,
        weighted=cohen_kappa(one, two, squared) if one_scale else None,
        spearman=spearman(one, two),
        span=interval(one, two, prompts),
        arms=arms or {},
    )


# ---- text


def means(scores: list[Scores], kinds: dict[str, str], arms: list[str]) -> list[str]:
    """A line for each judge of single responses and kind of prompt: its highest score, and the mean and n of each arm."""
    rows = [("mean score", "on", "out of", *arms)]
    for judge in scores:
        for kind in [] if judge.pairwise else dict.fromkeys(kinds[id_] for _, id_, _ in judge.values):
            cells = []
            for arm in arms:
                own = [s for (of, id_, _), s in judge.values.items() if of == arm and kinds[id_] == kind and s is not None]
                cells.append(f"{fmean(own):.2f} (n = {len(own)})" if own else "–")
            rows.append((judge.name, kind, f"{judge.scale[kind]:g}" if kind in judge.scale else "–", *cells))
    return aligned(rows, left=2)


def summary(found: list[Agreement]) -> list[str]:
    """A table with the figures of each Agreement, over all responses and over those of each arm."""
    rows = [("judges", "on", "arm", "n", "null", "exact", "kappa", "weighted", "Spearman")]
    for one in found:
        for arm, part in {"all": one, **one.arms}.items():
            exact = "–" if part.exact is None else f"{part.exact:.0%}"
            span = f" [{part.span[0]:.2f}, {part.span[1]:.2f}]" if part.span else ""
            figures = (_figure(part.kappa), _figure(part.weighted), _figure(part.spearman) + span)
            rows.append((f"{one.first} · {one.second}", one.title, arm, str(part.number), str(part.null), exact, *figures))
    return aligned(rows, left=2)


def confusion(one: Agreement) -> list[str]:
    """The table of an Agreement: a row for each score of the first judge, a column for each of the second."""
    rows = sorted({a for a, _ in one.table}, reverse=one.pairwise)
    columns = sorted({b for _, b in one.table}, reverse=one.pairwise)
    names = {score: PREFERENCES[score] if one.pairwise else f"{score:g}" for score in [*rows, *columns]}
    left = 2 + max([len(names[row]) for row in rows], default=0)
    width = max([len(names[column]) for column in columns] + [len(str(n)) for n in one.table.values()], default=0) + 2
    lines = [f"{one.title}: rows {one.first}, columns {one.second}"]
    lines.append(" " * left + "".join(f"{names[column]:>{width}}" for column in columns))
    for row in rows:
        lines.append(f"{names[row]:>{left}}" + "".join(f"{one.table[row, column]:>{width}}" for column in columns))
    return lines


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


# ---- the file for reports


def write_measured(found: list[Agreement], answers: str) -> str:
    """Write the agreement of the rules with each judge of single responses to `MEASURED`, and say so.

    Figures of the same kind and judge are replaced, and figures that were measured with other rules are removed.
    """
    current = digest(RULES_FILE)
    kept: dict[tuple[str, str], Mapping[str, object]] = {}
    kept |= {(one["kind"], one["against"]): one for one in load_agreement(MEASURED) if one["rules"] == current}
    new = [one for one in found if one.first == RULES and not one.pairwise and one.number]
    for one in new:
        low, high = one.span or (None, None)
        kept[one.kind, one.second] = {
            "kind": one.kind,
            "against": one.second,
            "n": one.number,
            "spearman": _rounded(one.spearman),
            "low": _rounded(low),
            "high": _rounded(high),
            "answers": answers,
            "rules": current,
        }
    write_json(MEASURED, [kept[key] for key in sorted(kept)])
    return f"{MEASURED}: {counted(len(new), 'figure')}; `dvc repro report` puts them into the report and the model card"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
