"""Are the numbers in reports/metrics.json and details.json those of the records that they were made from?"""

from pathlib import Path

from cantica.commands.dvc.records import changes, read_present, read_records
from cantica.core.documents import read_json, read_yaml
from cantica.core.errors import Problem
from cantica.core.params import FILE
from cantica.judging.rules import load_rules
from cantica.reporting import results
from cantica.reporting.records import read_records as read_items

DATA, PROMPTS, METRICS, DETAILS = map(Path, ("data", "prompts", "reports/metrics.json", "reports/details.json"))


def wrong_numbers() -> list[Problem] | None:
    """A Problem for each number that comes out otherwise when it is computed anew.

    None where it cannot: the records are not there, or the report is out of date, so that `dvc repro` makes it anew.
    """
    if not (METRICS.exists() and DETAILS.exists() and is_current("report")):
        return None
    params, rules = read_yaml(FILE), load_rules(PROMPTS / "judge/rules.yaml")
    items = read_items(DATA, params)
    rows = results.all_rows(results.all_measures(items, params, rules), items, params, rules)
    wrong = disagreements(METRICS, read_json(METRICS), results.headline(rows))
    return wrong + disagreements(DETAILS, read_json(DETAILS), results.details(rows))


def is_current(stage: str) -> bool:
    """Whether everything that a stage reads is there, and as it was when the stage last ran."""
    if not (DATA / "judgements").exists():
        return False  # a fresh clone: no need to ask DVC
    records = read_records()
    return stage in records.lock and not changes(stage, records.lock[stage], read_present(records, [stage])[stage])


def disagreements(file: Path, got: dict, expected: dict) -> list[Problem]:
    """A Problem for each key by which the numbers in a file differ from those expected."""
    found, right = leaves(got), leaves(expected)
    hint = "`dvc repro report` writes it anew"
    return [
        Problem(str(file), key, str(found.get(key, "nothing there")), str(right.get(key, "no such number")), hint)
        for key in [*right, *(key for key in found if key not in right)]
        if key not in found or key not in right or found[key] != right[key]
    ]


def leaves(numbers, key: str = "") -> dict[str, object]:
    """The numbers of a nested mapping by dotted key."""
    if not isinstance(numbers, dict):
        return {key: numbers}
    return {k: v for name, value in numbers.items() for k, v in leaves(value, f"{key}.{name}" if key else name).items()}
