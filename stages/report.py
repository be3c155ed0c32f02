"""Write metrics, details, the numbers of claims, the data of the plots, the report and the model card.

python -m stages.report data prompts reports
"""

from pathlib import Path
from typing import Any

from cantica.core.command import run
from cantica.core.documents import read_json
from cantica.core.files import write_json, write_text
from cantica.core.params import FILE, read_params
from cantica.judging import rules_agreement
from cantica.judging.held_out import asked_of, load_groups, load_prompts
from cantica.judging.rules import Rules, load_rules
from cantica.probes.behaviour_files import chosen, load_behaviours
from cantica.reporting import behaviours, claims, figures, judges, losses, results, statements, wording
from cantica.reporting.card import model_card
from cantica.reporting.endings import TOLERANCE
from cantica.reporting.pages import as_csv, render
from cantica.reporting.probes import trajectories
from cantica.reporting.records import Records, by_sample, read_records, samples_of
from cantica.reporting.rows import Rows
from cantica.settings.arms import description, pairs
from cantica.settings.claims import claims_of

SECTIONS = (
    *("answers", "arms", "base", "categories", "claims", "contrasts", "curriculum", "data", "fuse", "held_out", "judges"),
    *("lora", "measure", "mixes", "probe", "report", "respond", "samples", "server_samples", "servers", "train"),
)
FILTERS = (*wording.FILTERS, *behaviours.FILTERS, *statements.FILTERS)


def main(data: Path, prompts: Path, reports: Path) -> None:
    params = read_params(*SECTIONS, "toolchain.model", "toolchain.report", "toolchain.templates")
    records = read_records(data, params)
    rules = load_rules(prompts / "judge/rules.yaml")
    measures = results.all_measures(records, params, rules)
    rows = results.all_rows(measures, records, params, rules)
    facts: dict[str, Any] = {"params": params, "records": records, "rules": rules, "measures": measures, "rows": rows}
    claimed = claims.claims_of_build(read_json(data / "claims.json"), records, params, rules)
    facts |= arms_of(read_json(data / "arms.json"), params, rows) | {"claims": claims_of(params), "claimed": claimed}
    facts |= read_texts(data, prompts, params, rules) | figures_of(records, params)
    write_json(reports / "metrics.json", results.headline(rows))
    write_json(reports / "details.json", results.details(rows, results.further_rows(records, params)))
    write_json(reports / "claims.json", claims.as_document(claimed))
    write_text(reports / "loss_curve.csv", as_csv(facts["curve"], figures.CURVE_COLUMNS))
    write_text(reports / "loss_matrix.csv", as_csv(losses.matrix_rows(facts["matrix"]), losses.MATRIX_COLUMNS))
    write_text(reports / "report.html", render("report.html.j2", facts, FILTERS))
    write_text(reports / "model_card.md", render("model_card.md.j2", facts, wording.FILTERS))


def read_texts(data: Path, prompts: Path, params: dict[str, Any], rules: Rules) -> dict[str, Any]:
    """Return the texts that the report shows with its numbers."""
    agreement = rules_agreement.load_agreement(prompts / "judge/agreement.json")
    return {
        "lexical": rules_agreement.notes(agreement, rules, rules_agreement.digest(prompts / "judge/rules.yaml")),
        "prompts": asked_of(load_prompts(prompts / "held_out"), params["held_out"], FILE),
        "groups": load_groups(prompts / "held_out"),
        "behaviours": chosen(load_behaviours(prompts / "probes/behaviours"), params["probe"]["behaviours"], FILE),
        "categories": {c: read_json(data / "categories" / f"{c}.json") for c in params["categories"]},
    }


def arms_of(arms: list[str], params: dict[str, Any], rows: Rows) -> dict[str, Any]:
    """Return the arms and their comparisons, as the templates name them."""
    card = model_card(params)
    first, *others = arms
    return {
        "card": card,
        "arms": arms,
        "first": first,
        "others": others,
        "last": card.arm if card.arm in others else list(params["arms"])[-1],
        "pairs": pairs(params),
        "about": {arm: description(params, arm) for arm in arms},
        "arms_with": lambda measure: [arm for arm in arms if rows.has(arm, measure)],
        "most_items": lambda measure, group: max(rows.get(arm, measure, group)["n"] for arm in arms),
    }


def figures_of(records: Records, params: dict[str, Any]) -> dict[str, Any]:
    """Return the data of figures and lists of responses, and the functions that draw figures."""
    curve = figures.curve_rows(records["training"], params["curriculum"])
    return {
        "curve": curve,
        "lines": figures.curve_lines(curve, params["curriculum"]),
        "matrix": {point: losses.category_means(row) for point, row in losses.in_common(records["losses"]).items()},
        "trajectories": trajectories(records["probes"], records["behaviours"], params),
        "verdicts": {judge: judges.by_response(found) for judge, found in records["verdicts"].items()},
        "wins": judges.wins(records["judgements"], pairs(params)),
        "responses": by_sample(records["responses"]),
        "scores": by_sample(records["judgements"]),
        "samples_of": samples_of(records["responses"]),
        "tolerance": TOLERANCE,
    } | {function.__name__: function for function in figures.FUNCTIONS}


if __name__ == "__main__":
    run(main)
