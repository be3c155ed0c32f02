"""Write the metrics, headline and details, the data of the plots, the report and the model card.

python -m stages.report data prompts reports
"""

from dataclasses import dataclass
from pathlib import Path

from cantica.core.command import run
from cantica.core.documents import read_json
from cantica.core.files import write_json, write_text
from cantica.core.params import FILE, read_params
from cantica.judging import lexical
from cantica.judging.held_out import asked_of, load_groups, load_prompts
from cantica.judging.rules import load_rules
from cantica.probes.triggers import load_triggers
from cantica.reporting import judges, metrics, wording
from cantica.reporting.figures import Points, axis, polyline, shade, stroke
from cantica.reporting.measures import TOLERANCE
from cantica.reporting.pages import as_csv, render
from cantica.reporting.probes import trajectories
from cantica.reporting.records import read_records
from cantica.settings.tree import branches, path_to

SECTIONS = (
    *("arms", "base", "categories", "curriculum", "data", "fuse", "held_out", "judges", "lora", "measure", "mixes", "probe"),
    *("report", "respond", "train"),
)


def main(data: Path, prompts: Path, reports: Path) -> None:
    params = read_params(*SECTIONS, "toolchain.model", "toolchain.report", "toolchain.templates")
    records = read_records(data, params)
    rules = load_rules(prompts / "judge/rules.yaml")
    agreement = lexical.load_agreement(prompts / "judge/agreement.json")
    measures = metrics.measures(records, params, rules)
    numbers = metrics.details(measures, records, params, rules)
    facts = {
        "params": params,
        "measures": measures,
        "numbers": numbers,
        "records": records,
        "rules": rules,
        "lexical": lexical.notes(agreement, rules, lexical.digest(prompts / "judge/rules.yaml")),
        "verdicts": {judge: judges.by_answer(found) for judge, found in records["verdicts"].items()},
        "prompts": asked_of(load_prompts(prompts / "held_out"), params["held_out"], FILE),
        "triggers": load_triggers(prompts / "probes/triggers", params["probe"]["triggers"], FILE),
        "trajectories": trajectories(records["probes"], params),
        "groups": load_groups(prompts / "held_out"),
        "categories": {c: read_json(data / "categories" / f"{c}.json") for c in params["categories"]},
        "card": about_card(params),
        "matrix": {point: metrics.cells(row) for point, row in records["losses"].items()},
        "curve": (curve := metrics.curve_rows(records["training"], params["curriculum"])),
        "lines": curve_lines(curve, params["curriculum"]),
        "compared": compare_arms(records["judgements"]),
        "tolerance": TOLERANCE,
        "shade": shade,
        "axis": axis,
        "polyline": polyline,
        "stroke": stroke,
    }
    write_json(reports / "metrics.json", metrics.headline(numbers))
    write_json(reports / "details.json", numbers)
    write_text(reports / "loss_curve.csv", as_csv(facts["curve"]))
    write_text(reports / "loss_matrix.csv", as_csv(metrics.matrix_rows(facts["matrix"])))
    write_text(reports / "report.html", render("report.html.j2", facts, wording.FILTERS))
    write_text(reports / "model_card.md", render("model_card.md.j2", facts, wording.FILTERS))


@dataclass(frozen=True)
class Line:
    """The training loss along a branch of the tree.

    steps: of the branch. after: the point that they follow. points: (iteration, loss), with the last of `after` before the
    others, so that a branch is seen to leave another. ends: of each step its last point.
    """

    steps: list[str]
    after: str
    points: Points
    ends: dict[str, tuple[float, float]]


def curve_lines(curve: list[dict], curriculum: dict[str, dict]) -> list[Line]:
    """A line for each branch, from the rows of the loss curve."""
    ends = {row["step"]: (row["iteration"], row["train_loss"]) for row in curve}
    lines = []
    for branch, steps in branches(curriculum).items():
        after = curriculum[steps[0]]["after"]
        points = sorted((row["iteration"], row["train_loss"]) for row in curve if row["branch"] == branch)
        lines.append(Line(steps, after, [ends[after], *points] if after in ends else points, {s: ends[s] for s in steps}))
    return lines


@dataclass(frozen=True)
class Card:
    """What the model card is about: the fused point, the steps on its path, and the arm whose numbers it shows.

    arm: the first that is at the fused point, or else the last of all. evaluated: whether it is at that point.
    files: {file that a step trained on: its categories}. shape: of the adapter.
    """

    point: str
    path: list[str]
    arm: str
    evaluated: bool
    files: dict[str, list[str]]
    shape: dict[str, float]


def about_card(params: dict) -> Card:
    """What the model card of these params is about."""
    point, curriculum = params["fuse"]["step"], params["curriculum"]
    path = path_to(point, curriculum)
    arms = [arm for arm, at in params["arms"].items() if at == point]
    files = {}
    for data in (curriculum[step]["data"] for step in path):
        folder, name = data.split("/")
        files[data] = [name] if folder == "train" else list(params["mixes"][name])
    shape = {key: curriculum[path[-1]].get(key, value) if path else value for key, value in params["lora"].items()}
    return Card(point, path, arms[0] if arms else list(params["arms"])[-1], bool(arms), files, shape)


def compare_arms(judgements: dict[str, list[dict]]) -> dict[str, dict[str, int]]:
    """For each arm but the first: on how many answers it scores higher, the same and lower than the first."""
    first, *others = judgements
    return {arm: metrics.compared(judgements[first], judgements[arm]) for arm in others}


if __name__ == "__main__":
    run(main)
