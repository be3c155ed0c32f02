"""Do reports/metrics.json, details.json and claims.json hold the numbers that follow from the records?"""

from pathlib import Path
from typing import Any

from cantica.commands.dvc.changes import changes
from cantica.commands.dvc.project import read_present, read_project
from cantica.core.documents import read_json, read_yaml
from cantica.core.errors import Problem
from cantica.core.params import FILE
from cantica.judging.rules import load_rules
from cantica.reporting import claims, results
from cantica.reporting.nested import flatten
from cantica.reporting.records import read_records

DATA, PROMPTS = Path("data"), Path("prompts")
METRICS, DETAILS, CLAIMS = (Path("reports") / name for name in ("metrics.json", "details.json", "claims.json"))


def wrong_numbers() -> list[Problem] | None:
    """A Problem for each number that differs from the one computed anew from the records.

    None where that is not possible: the records are missing, or the report is out of date and `dvc repro` makes it anew.
    """
    if not (all(file.exists() for file in (METRICS, DETAILS, CLAIMS)) and is_current("report")):
        return None
    params, rules = read_yaml(FILE), load_rules(PROMPTS / "judge/rules.yaml")
    records = read_records(DATA, params)
    rows = results.all_rows(results.all_measures(records, params, rules), records, params, rules)
    claimed = claims.as_document(claims.claims_of_build(read_json(DATA / "claims.json"), records, params, rules))
    wrong = disagreements(METRICS, read_json(METRICS), results.headline(rows))
    details = results.details(rows, results.further_rows(records, params))
    wrong += disagreements(DETAILS, read_json(DETAILS), details)
    return wrong + disagreements(CLAIMS, read_json(CLAIMS), claimed)


def is_current(stage: str) -> bool:
    """Whether all inputs of a stage are there and unchanged since it last ran."""
    if not (DATA / "judgements").exists():
        return False  # a fresh clone: no need to ask DVC
    project = read_project()
    return stage in project.lock and not changes(stage, project.lock[stage], read_present(project, [stage])[stage])


def disagreements(file: Path, got: dict[str, Any], expected: dict[str, Any]) -> list[Problem]:
    """A Problem for each key by which the numbers in a file differ from those expected."""
    found, right = flatten(got), flatten(expected)
    hint = "`dvc repro report` writes it anew"
    return [
        Problem(str(file), key, str(found.get(key, "no such key")), str(right.get(key, "no such key")), hint)
        for key in [*right, *(key for key in found if key not in right)]
        if key not in found or key not in right or found[key] != right[key]
    ]
