"""What the report shows beside its numbers: figures, lists of responses, tables of items."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

from cantica.reporting import judges, losses, pictures, steps
from cantica.reporting.answers import answered, marks_in, scorers
from cantica.reporting.effects import Effect, items_id
from cantica.reporting.forest import number
from cantica.reporting.measures import Measure
from cantica.reporting.probes import trajectories
from cantica.reporting.records import Records, by_sample
from cantica.reporting.results import CHAIN, WHOLE
from cantica.reporting.rows import Row
from cantica.reporting.summary import summary
from cantica.settings.tree import branches

# The numbers of an estimate, as the columns of the table of every number.
NUMBERS = (
    *("mean", "share", "difference", "low", "high", "p", "effect", "detectable", "n", "failed"),
    *("truncated", "unfinished", "at_floor", "hit_length_limit", "thinking_unfinished", "mean_tokens", "unequal", "opposed"),
)
ANSWERED = ("judge.", "verdict.", "refusals", "flags", "behaviours.")  # the page shows their items in another form


def page_facts(facts: dict[str, Any]) -> dict[str, Any]:
    """Return what report.html.j2 needs beside `facts`, the params, records and numbers of a build."""
    params, records, compared = facts["params"], facts["records"], main_first(facts["pairs"], facts["last"], facts["first"])
    shown = answered(facts["prompts"], records, params)
    return (
        _pictures(facts, compared)
        | {
            "summary": summary(params, records["training"], compared),
            "titles": {measure.key: measure.title for measure in facts["measures"]},
            "branches": branches(params["curriculum"]),
            "answered": shown,
            "marks": marks_in(shown),
            "scorers": scorers(shown),
            "zip": zip,
            "verdicts": {judge: judges.by_response(found) for judge, found in records["verdicts"].items()},
            "wins": judges.wins(records["judgements"], facts["pairs"]),
            "responses": by_sample(records["responses"]),
            "scores": by_sample(records["judgements"]),
            "numbers": NUMBERS,
        }
        | _items(records, facts["measures"])
        | FUNCTIONS
    )


def main_first(pairs: Sequence[tuple[str, str]], last: str, first: str) -> list[tuple[str, str]]:
    """Return the pairs of arms with the main one, the model that is fused and the first arm, at the top."""
    return sorted(pairs, key=lambda pair: pair != (last, first))


def _pictures(facts: dict[str, Any], compared: list[tuple[str, str]]) -> dict[str, Any]:
    params, records, curriculum = facts["params"], facts["records"], facts["params"]["curriculum"]
    found = trajectories(records["probes"], records["behaviours"], params)
    titles = {name: category["title"] for name, category in facts["categories"].items()}
    cells = [
        cell | {"own": curriculum.get(cell["after"], {}).get("data") == f"train/{cell['category']}"}
        for cell in losses.matrix_rows(facts["matrix"])
    ]
    return {
        "comparisons": [pictures.comparison(facts["measures"], facts["rows"], *pair) for pair in compared],
        "tree": pictures.tree(steps.nodes(params, records["training"], facts["matrix"])),
        "curve_picture": pictures.loss_curve(facts["curve"], curriculum),
        "matrix_picture": pictures.loss_matrix(cells, titles),
        "trajectories": found,
        "probe_charts": pictures.probe_charts(found),
        "behaviour_charts": {name: pictures.behaviour_charts(name, own, found) for name, own in facts["behaviours"].items()},
    }


def _items(records: Records, measures: Iterable[Measure]) -> dict[str, Any]:
    """Return the tables of items, and the texts behind capability items and behaviours."""
    scores = {(arm, score["id"]): score for arm, found in records["capability"].items() for score in found}
    probes = ((arm, cast(dict[str, Any], probe)) for arm, found in records["probes"].items() for probe in found)
    return {
        "item_tables": [m for m in measures if not m.key.startswith(ANSWERED) and not m.within],
        "said": {key: score["said"] for key, score in scores.items()},
        "asked_items": {item: score["prompt"] for (_, item), score in scores.items()},
        "probed": {
            (arm, probe["id"], probe["condition"]): probe
            for arm, probe in probes
            if "condition" in probe and probe["iteration"] is None
        },
    }


def every_number(rows: Iterable[Row]) -> list[Row]:
    """Return the rows of reports/details.json as its paths name them, each with its numbers; the same path once."""
    found: dict[tuple[str, str, str, str], Row] = {}
    for row in rows:
        group = row.group or WHOLE.get(row.measure, "")
        estimate = {"mean": row.estimate["mean"]} if row.group and row.measure in CHAIN else row.estimate
        key = (row.arm, row.measure, group, row.against)
        merged = (found[key].estimate if key in found else {}) | estimate
        found[key] = Row(row.arm, row.measure, cast(Any, merged), group, row.against)
    return list(found.values())


def items_in(measure: Measure) -> list[str]:
    """Return the items of a measure that an arm has, group by group."""
    found = list(dict.fromkeys(item for table in measure.tables.values() for item in table))
    groups = list(dict.fromkeys(measure.groups.values()))
    return sorted(found, key=lambda item: groups.index(measure.groups[item]) if item in measure.groups else -1)


def items_of(measure: Measure, arm: str, against: str, group: str = "") -> str:
    """Return the link to the items behind a difference."""
    return Effect(measure, arm, against, {"n": 0}, group).items


def minus(arm: str, other: str) -> str:
    """Return the name of a difference."""
    return f"{arm} − {other}"


FILTERS = (items_id, minus, number, pictures.swatch)
FUNCTIONS = {"items_in": items_in, "items_of": items_of}
