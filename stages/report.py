"""Write the metrics, headline and details, the data of the plots, the report and the model card.

python -m stages.report data prompts reports
"""

from pathlib import Path

from stages.lib import judges, metrics, wording
from stages.lib.common.command import run
from stages.lib.common.documents import read_json, read_jsonl
from stages.lib.common.files import write_json, write_text
from stages.lib.drawing import axis, polyline, shade
from stages.lib.held_out import asked_of, load_groups, load_prompts
from stages.lib.pages import as_csv, render
from stages.lib.params import FILE, read_params
from stages.lib.probes import trajectories
from stages.lib.rules import load_rules
from stages.lib.tree import path_to
from stages.lib.triggers import load_triggers

# What the templates show of each section of params.
SHOWN = {
    "base": ("license", "model", "source"),
    "fuse": ("step",),
    "lora": ("layers", "rank", "scale"),
    "measure": ("examples",),
    "probe": ("triggers",),
    "respond": ("max_tokens", "samples"),
    "train": (
        "batch_size",
        "dropout",
        "iters",
        "learning_rate",
        "loss_on",
        "max_seq_length",
        "optimizer",
        "schedule",
        "seed",
    ),
}


def main(data: Path, prompts: Path, reports: Path) -> None:
    shown = (f"{section}.{key}" for section, keys in SHOWN.items() for key in keys)
    versions = (f"toolchain.{package}" for package in ("jinja2", "numpy", "scipy"))
    whole = ("arms", "categories", "curriculum", "held_out", "judges", "report")
    params = read_params(*whole, *shown, *versions)
    records = read_records(data, params)
    rules = load_rules(prompts / "judge" / "rules.yaml")
    measures = metrics.measures(records, params, rules)
    numbers = metrics.details(measures, records, params, rules)
    facts = {
        "params": params,
        "measures": measures,
        "numbers": numbers,
        "records": records,
        "rules": rules,
        "verdicts": {judge: judges.by_answer(found) for judge, found in records["verdicts"].items()},
        "prompts": asked_of(load_prompts(prompts / "held_out"), params["held_out"], FILE),
        "triggers": load_triggers(prompts / "probes/triggers", params["probe"]["triggers"], FILE),
        "trajectories": trajectories(records["probes"], params),
        "groups": load_groups(prompts / "held_out"),
        "categories": {c: read_json(data / "categories" / f"{c}.json") for c in params["categories"]},
        "path": path_to(params["fuse"]["step"], params["curriculum"]),
        "matrix": {point: metrics.cells(row) for point, row in records["losses"].items()},
        "curve": (curve := metrics.curve_rows(records["training"], params["curriculum"])),
        "points": [(point["iteration"], point["train_loss"]) for point in curve],
        "compared": compare_arms(records["judgements"]),
        "shade": shade,
        "axis": axis,
        "polyline": polyline,
    }
    write_json(reports / "metrics.json", metrics.headline(numbers))
    write_json(reports / "details.json", numbers)
    write_text(reports / "loss_curve.csv", as_csv(facts["curve"]))
    write_text(reports / "loss_matrix.csv", as_csv(metrics.matrix_rows(facts["matrix"])))
    write_text(reports / "report.html", render("report.html.j2", facts, wording.FILTERS))
    write_text(reports / "model_card.md", render("model_card.md.j2", facts, wording.FILTERS))


def read_records(data: Path, params: dict) -> dict[str, dict]:
    """What the stages before wrote, by arm or by step. Names come from params, so a leftover file changes nothing."""
    points = ["base", *params["curriculum"]]
    return {
        "responses": {arm: read_jsonl(data / "responses" / f"{arm}.jsonl") for arm in params["arms"]},
        "judgements": {arm: read_jsonl(data / "judgements" / f"{arm}.jsonl") for arm in params["arms"]},
        "verdicts": {judge: read_jsonl(data / "judgements/models" / f"{judge}.jsonl") for judge in params["judges"]},
        "capability": {arm: read_jsonl(data / "capability" / f"{arm}.jsonl") for arm in params["arms"]},
        "probes": {arm: read_jsonl(data / "probes" / f"{arm}.jsonl") for arm in params["arms"]},
        "losses": {point: read_json(data / "losses" / f"{point}.json") for point in points},
        "training": {step: read_json(data / "training" / f"{step}.json") for step in params["curriculum"]},
    }


def compare_arms(judgements: dict[str, list[dict]]) -> dict[str, dict[str, int]]:
    """For each arm but the first: on how many answers it scores higher, the same and lower than the first."""
    first, *others = judgements
    return {arm: metrics.compared(judgements[first], judgements[arm]) for arm in others}


if __name__ == "__main__":
    run(main)
