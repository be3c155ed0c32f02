"""The notes next to the scores of the rules: that the rules are a lexical check, and how well they agree with other raters.

`cantica agreement FILE --record` measures the agreement with people or models that scored the same answers. It writes the
result to prompts/judge/agreement.json, which the report reads.
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
    """Return the recorded agreement, one record for each kind of prompt and rater. Raises InputError."""
    recorded: list[Agreement] = read_json(file)
    validate(recorded, "agreement", file)
    return recorded


def digest(rules_file: Path) -> str:
    """Return the SHA-256 of the rules and the code that applies them. A measured agreement is valid only for this version."""
    code = [Path(str(module.__file__)).read_bytes() for module in (rules, apply_rules)]
    return hashlib.sha256(b"".join([rules_file.read_bytes(), *code])).hexdigest()


def notes(recorded: list[Agreement], rules: Rules, digest: str) -> dict[str, str]:
    """Return {key of the measure in details.json: note} for each measure of the rules."""
    kinds = {f"judge.{kind}": note([one for one in recorded if one["kind"] == kind], digest) for kind in rules["kinds"]}
    return kinds | {key: note([], digest) for key in ("refusals", "flags")}


def note(recorded: list[Agreement], digest: str) -> str:
    """Return the note on the scores of one kind of prompt: one sentence without a full stop."""
    current = [one for one in recorded if one["rules"] == digest]
    if current:
        return f"{NOTE}; {'; '.join(map(_figure, current))}"
    return f"{NOTE}; agreement with people not measured{' since these rules changed' if recorded else ''}"


def _figure(one: Agreement) -> str:
    about = f"with {one['against']} on {one['n']} answers"
    if one["spearman"] is None:
        return f"rank correlation {about}: undefined, because one of the two gave every answer the same score"
    interval = "" if one["low"] is None else f" [{one['low']:.2f}, {one['high']:.2f}]"
    return f"rank correlation {about}: {one['spearman']:.2f}{interval}".replace("-", "−")
