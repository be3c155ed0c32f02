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
from cantica.reporting import behaviours, claims, curves, losses, page, results, statements, wording
from cantica.reporting.card import model_card
from cantica.reporting.endings import TOLERANCE
from cantica.reporting.pages import as_csv, render
from cantica.reporting.records import read_records
from cantica.reporting.rows import Rows
from cantica.settings.arms import description, pairs
from cantica.settings.claims import claims_of

SECTIONS = (
    *("answers", "arms", "base", "categories", "claims", "contrasts", "curriculum", "data", "fuse", "held_out", "judges"),
    *("lora", "measure", "mixes", "probe", "report", "respond", "samples", "server_samples", "servers", "train"),
)
FILTERS = (*wording.FILTERS, *behaviours.FILTERS, *statements.FILTERS, *page.FILTERS)


def main(data: Path, prompts: Path, reports: Path) -> None:
    params = read_params(*SECTIONS, "toolchain.model", "toolchain.report", "toolchain.templates")
    records = read_records(data, params)
    rules = load_rules(prompts / "judge/rules.yaml")
    measures = results.all_measures(records, params, rules)
    rows = results.all_rows(measures, records, params, rules)
    further = results.further_rows(records, params)
    facts: dict[str, Any] = {"params": params, "records": records, "rules": rules, "measures": measures, "rows": rows}
    claimed = claims.claims_of_build(read_json(data / "claims.json"), records, params, rules)
    facts |= arms_of(read_json(data / "arms.json"), params, rows) | {"claims": claims_of(params), "claimed": claimed}
    facts |= read_texts(data, prompts, params, rules)
    curve = curves.curve_rows(records["training"], params["curriculum"])
    matrix = {point: losses.category_means(row) for point, row in losses.in_common(records["losses"]).items()}
    facts |= {"curve": curve, "matrix": matrix, "every": page.every_number([*rows.rows, *further]), "tolerance": TOLERANCE}
    write_json(reports / "metrics.json", results.headline(rows))
    write_json(reports / "details.json", results.details(rows, further))
    write_json(reports / "claims.json", claims.as_document(claimed))
    write_text(reports / "loss_curve.csv", as_csv(curve, curves.CURVE_COLUMNS))
    write_text(reports / "loss_matrix.csv", as_csv(losses.matrix_rows(matrix), losses.MATRIX_COLUMNS))
    write_text(reports / "report.html", render("report.html.j2", facts | page.page_facts(facts), FILTERS))
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


if __name__ == "__main__":
    run(main)
