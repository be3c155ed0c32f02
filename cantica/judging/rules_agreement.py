"""The notes that readers get with the scores of the rules: these are lexical checks, and agree so far with other raters.

`cantica agreement FILE --record` measures the agreement with people or models that scored the same answers, and writes it to
prompts/judge/agreement.json for the report.
"""

import hashlib
from pathlib import Path
from typing import TypedDict

from cantica.core.documents import read_json, validate
from cantica.judging import apply_rules, rules
from cantica.judging.rules import Rules

NOTE = "a lexical check"


class Agreement(TypedDict):
    """The agreement of the rules with another rater on one kind of prompt; schemas/agreement.schema.json describes it."""

    kind: str
    against: str
    n: int
    spearman: float | None
    low: float | None
    high: float | None
    answers: str
    rules: str


def load_agreement(file: Path) -> list[Agreement]:
    """Read the recorded agreement, one record for each kind of prompt and rater. Raises InputError."""
    recorded: list[Agreement] = read_json(file)
    validate(recorded, "agreement", file)
    return recorded


def digest(rules_file: Path) -> str:
    """Return the SHA-256 of the rules and of the code that applies them: agreement is that of one version of both."""
    code = [Path(str(module.__file__)).read_bytes() for module in (rules, apply_rules)]
    return hashlib.sha256(b"".join([rules_file.read_bytes(), *code])).hexdigest()


def notes(recorded: list[Agreement], rules: Rules, digest: str) -> dict[str, str]:
    """Return the note on each measure of the rules, by the measure's key in details.json."""
    kinds = {f"judge.{kind}": note([one for one in recorded if one["kind"] == kind], digest) for kind in rules["kinds"]}
    return kinds | {key: note([], digest) for key in ("refusals", "flags")}


def note(recorded: list[Agreement], digest: str) -> str:
    """Return one sentence, without its full stop, on the scores of one kind."""
    current = [one for one in recorded if one["rules"] == digest]
    if current:
        return f"{NOTE}; {'; '.join(map(_figure, current))}"
    return f"{NOTE}; agreement with people not measured{' since these rules changed' if recorded else ''}"


def _figure(one: Agreement) -> str:
    about = f"with {one['against']} on {one['n']} answers"
    if one["spearman"] is None:
        return f"rank correlation {about} undefined, since one of the two gave one score throughout"
    interval = "" if one["low"] is None else f" [{one['low']:.2f}, {one['high']:.2f}]"
    return f"rank correlation {about}: {one['spearman']:.2f}{interval}".replace("-", "−")
