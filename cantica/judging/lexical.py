"""What a reader is told beside a score of the rules: that words are checked, and how far scores agree with those of others.

`cantica agreement FILE --record` measures that on answers that people or models scored, and writes it down for the report.
"""

import hashlib
from pathlib import Path

from cantica.core.documents import read_json, validate
from cantica.judging import rules as module

WHAT = "a lexical check"


def load_agreement(file: Path) -> list[dict]:
    """What was measured, a record for each kind of prompt and each scorer. Raises InputError."""
    measured = read_json(file)
    validate(measured, "agreement", file)
    return measured


def digest(rules_file: Path) -> str:
    """SHA-256 of the rules and of the code that applies them: what was measured of others says nothing about these."""
    return hashlib.sha256(rules_file.read_bytes() + Path(module.__file__).read_bytes()).hexdigest()


def notes(measured: list[dict], rules: dict, digest: str) -> dict[str, str]:
    """What to say beside each measure that the rules make, by its key in details.json."""
    kinds = {f"judge.{kind}": note([one for one in measured if one["kind"] == kind], digest) for kind in rules["kinds"]}
    return kinds | {key: note([], digest) for key in ("refusals", "flags")}


def note(measured: list[dict], digest: str) -> str:
    """One sentence on the scores of one kind, without its full stop."""
    current = [one for one in measured if one["rules"] == digest]
    if current:
        return f"{WHAT}; {'; '.join(map(_figure, current))}"
    return f"{WHAT}; agreement with people not measured{' since these rules changed' if measured else ''}"


def _figure(one: dict) -> str:
    about = f"against {one['against']} on {one['n']} answers"
    if one["spearman"] is None:
        return f"rank correlation {about} not defined, since one of the two gave one score throughout"
    interval = "" if one["low"] is None else f" [{one['low']:.2f}, {one['high']:.2f}]"
    return f"rank correlation {about}: {one['spearman']:.2f}{interval}".replace("-", "−")
