"""Faults in the dataset, and the findings that the audit reports: faults with the severity that params.yaml gives them."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict

from cantica.core.errors import Problem
from cantica.dataset.answers import SAMPLE_ID, SAMPLE_ORIGIN

# Worst first: faults that spoil the data or the evaluation, then faults of single examples, then the balance of the dataset.
RULES = (
    *("schema", "altered", "personal_data", "was_held_out", "held_out_overlap", "trigger", "split_overlap", "derangement"),
    *("turns", "cut_off", "exact_duplicate", "same_answer", "too_long", "near_duplicate", "openers", "budget"),
    "unused_waiver",
)
# The origin of an example of a template, with the numbers of its slot values, or of an imported one, with its line.
WRITTEN = re.compile(r"(?:(.+\.j2)(?:: (.+))?|([^:]+):(\d+))")
SEVERITIES = ("error", "warning", "waived")


@dataclass(frozen=True)
class Fault:
    """A violation of a rule: by one line of a file, or by the file as a whole (`line` is None).

    categories: the one or two categories that it concerns; none if it concerns the whole project.
    """

    rule: str
    file: str
    message: str
    line: int | None = None
    id: str | None = None
    origin: str | None = None
    categories: tuple[str, ...] = ()


class Finding(TypedDict):
    """A fault with its severity: one line of `data/audit/findings.jsonl`. A waived finding has the `reason` of its waiver."""

    severity: str
    rule: str
    file: str
    line: int | None
    id: str | None
    origin: str | None
    message: str
    reason: NotRequired[str]


class SeverityPolicy:
    """The severity of faults: `audit.rules`, `audit.categories` and `audit.waivers` of params.yaml."""

    def __init__(self, settings: dict):
        self.rules, self.categories, self.waivers = settings["rules"], settings["categories"], settings["waivers"]
        self.waived = {(w["rule"], record): w["reason"] for w in self.waivers for record in w["records"]}
        self.used: set[tuple[str, str]] = set()

    def severity(self, rule: str, *categories: str) -> str:
        """Return the mildest severity that a rule has in these categories: error, warning or off."""
        found = [self.categories.get(category, {}).get(rule, self.rules[rule]) for category in categories]
        return max(found or [self.rules[rule]], key=("error", "warning", "off").index)

    def findings(self, faults: Iterable[Fault]) -> Iterator[Finding]:
        """Yield a finding for each fault of a rule that is not off."""
        for fault in faults:
            severity = self.severity(fault.rule, *fault.categories)
            if severity == "off":
                continue
            names = [(fault.rule, name) for name in (fault.id, fault.origin) if name is not None]
            waiver = next((name for name in names if name in self.waived), None)
            if waiver:
                self.used.add(waiver)
                yield {**_finding("waived", fault), "reason": self.waived[waiver]}
            else:
                yield _finding(severity, fault)

    def unused_waivers(self, sample: str = "") -> Iterator[Fault]:
        """Yield a fault for each record of a waiver that had no fault to waive. Call it after all findings are known.

        sample: whose records are looked at, by their ids, since an origin does not tell the sample; "" for all records that are
        in no sample.
        """
        for rule, record in self.waived:
            if (rule, record) in self.used or SAMPLE_ORIGIN.fullmatch(record):
                continue
            found = SAMPLE_ID.fullmatch(record)
            if sample == (found[1] if found else ""):
                message = f"{rule} is waived for {record}, which has no such finding; expected only waivers that are needed"
                yield Fault("unused_waiver", "params.yaml", message)

    def active_rules(self) -> list[str]:
        """Return the rules that are an error or a warning in at least one category, worst first."""
        return [rule for rule in RULES if any(self.severity(rule, name) != "off" for name in (*self.categories, ""))]


def _finding(severity: str, fault: Fault) -> Finding:
    return {
        "severity": severity,
        "rule": fault.rule,
        "file": fault.file,
        "line": fault.line,
        "id": fault.id,
        "origin": fault.origin,
        "message": fault.message,
    }


class SummaryRow(TypedDict):
    """The number of findings of one rule with one severity, and the first of them."""

    severity: str
    rule: str
    count: int
    example: Finding


class Summary:
    """Counts findings by severity and rule."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.first: dict[tuple[str, str], Finding] = {}

    def counted(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """Count the findings while yielding them."""
        for finding in findings:
            key = finding["severity"], finding["rule"]
            self.counts[key] += 1
            self.first.setdefault(key, finding)
            yield finding

    def rows(self) -> list[SummaryRow]:
        """Return a row for each severity and rule: errors, warnings, then waived findings, each with the worst rule first."""
        keys = sorted(self.counts, key=lambda key: (SEVERITIES.index(key[0]), RULES.index(key[1])))
        return [
            {"severity": severity, "rule": rule, "count": self.counts[severity, rule], "example": self.first[severity, rule]}
            for severity, rule in keys
        ]


def overview(size: int, rows: list[SummaryRow], file: Path) -> str:
    """Return a description of the findings: one line with the totals, then a line for each rule, the worst first."""
    sums = {severity: sum(row["count"] for row in rows if row["severity"] == severity) for severity in SEVERITIES}
    lines = [f"{size} examples: {sums['error']} errors, {sums['warning']} warnings, {sums['waived']} waived, in {file}"]
    return "\n".join(lines + [f"  {row['severity']:8}{row['rule']:18}{row['count']:6,}" for row in rows])


def error_problem(row: SummaryRow, file: Path) -> Problem:
    """Return the first error of a rule as a Problem that says how many there are. file: where all findings are.

    It is placed where its text was written: in a template, with the numbers of the slot values, or in an imported file.
    """
    first = row["example"]
    written = WRITTEN.fullmatch(first["origin"] or "")
    got, _, expected = first["message"].partition("; expected ")
    count = f"the first of {row['count']:,} errors of {row['rule']}" if row["count"] > 1 else f"the only error of {row['rule']}"
    hint = f"{count} in {file}; audit.rules, audit.categories and audit.waivers in params.yaml set what counts as an error"
    line = f"line {first['line']} " if first["line"] else ""
    if not written:
        origin = f", from {first['origin']}" if first["origin"] else ""
        place = f"{line}[{row['rule']}] {first['id'] or ''}".strip() + origin
        return Problem(first["file"], place, got, expected or "none", hint)
    template, choices, imported, number = written.groups()
    where = f"line {number} " if imported else f"{choices} " if choices else ""
    if choices:
        hint = f"{choices}: values of the slots in {Path(template).with_suffix('.yaml').name}, counted from 1; {hint}"
    rendered = f"{first['id']}, {line}of {first['file']}"
    return Problem(template or imported, f"{where}[{row['rule']}], as {rendered}", got, expected or "none", hint)
