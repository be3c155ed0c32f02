"""Hold the whole dataset against the rules of `audit` in params.yaml, before anything is trained on it, and measure it.

    python -m stages.audit data models/base data/audit reports/dataset.json

Writes findings.jsonl, and passed.txt if none of them is an error; of the errors of a rule the first is told. Steps depend on
passed.txt, whose text never changes: an error stops them all, and another figure trains nothing again.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from cantica.core.command import run
from cantica.core.errors import InputError, Problem
from cantica.core.files import write_json, write_jsonl, write_text
from cantica.core.params import read_params
from cantica.engine.tokens import TokenCounter
from cantica.lint.findings import SEVERITIES, Summary, budgets, opener_findings
from cantica.lint.scan import Scan
from cantica.lint.statistics import figures, similarity

SCRATCH = Path(".cache")  # on the project's disk: 2 KB an example


def main(data: Path, base: Path, audit: Path, report: Path) -> None:
    sections = ("arms", "audit", "categories", "curriculum", "data.pairing", "data.repairs", "data.thinking", "mixes")
    budget = ("train.batch_size", "train.iters", "train.max_seq_length")
    params = read_params(*sections, *budget, "toolchain.lint", "toolchain.model")
    counter, summary = TokenCounter(base), Summary()
    SCRATCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as scratch:
        scan = Scan(data, params, counter, Path(scratch))
        write_jsonl(audit / "findings.jsonl", summary.watch(findings(scan, params, data)))
    texts, rows = figures(scan.sample, counter.count), summary.rows()
    measured = {"similarity": similarity(scan.sample), "sizes": scan.sizes, "token_counts": scan.tokens, "findings": rows}
    write_json(audit / "details.json", texts | measured)
    write_json(report, headline(scan, texts, rows))
    print(told(scan.size, rows, audit / "findings.jsonl"))
    errors = [row for row in rows if row["severity"] == "error"]
    if errors:
        raise InputError(*(_problem(row, audit / "findings.jsonl") for row in errors))
    write_text(audit / "passed.txt", "No error.\n")


def findings(scan: Scan, params: dict, data: Path) -> Iterator[dict]:
    """Every finding that is not off, one at a time: about the examples, about categories and arms, and about waivers."""
    yield from scan.findings()
    yield from scan.severities.judge(opener_findings(scan.sample, params["audit"], data))
    yield from scan.severities.judge(budgets(params, scan.sizes, scan.tokens))
    yield from scan.severities.judge(scan.severities.unused())


def headline(scan: Scan, texts: dict, rows: list[dict]) -> dict:
    """`reports/dataset.json`: numbers alone, so that `dvc metrics` can show and compare them. Findings without those waived."""
    counts = dict.fromkeys(scan.severities.looked_for(), 0)
    for row in rows:
        if row["severity"] != "waived":
            counts[row["rule"]] += row["count"]
    return {
        "examples": {split: sum(sizes.values()) for split, sizes in scan.sizes.items()},
        "tokens": {split: sum(tokens.values()) for split, tokens in scan.tokens.items()},
        "sample": texts["n"],
        "words": texts["words"],
        "distinct": texts["distinct"],
        "repeated_8_words": max((run["share"] for run in texts["repeated"]), default=0.0),
        "same_opener": max((opener["share"] for opener in texts["openers"]), default=0.0),
        "near_duplicates": round(scan.near / scan.size, 4),
        "findings": counts,
        "waived": sum(row["count"] for row in rows if row["severity"] == "waived"),
    }


def told(size: int, rows: list[dict], file: Path) -> str:
    """How many findings there are, and those of each rule, the worst first."""
    sums = {severity: sum(row["count"] for row in rows if row["severity"] == severity) for severity in SEVERITIES}
    lines = [f"{size} examples: {sums['error']} errors, {sums['warning']} warnings, {sums['waived']} waived, in {file}"]
    return "\n".join(lines + [f"  {row['severity']:8}{row['rule']:18}{row['count']:6,}" for row in rows])


def _problem(row: dict, file: Path) -> Problem:
    """The errors of a rule: the first of them, with its origin, and how many there are."""
    first = row["example"]
    place = f"line {first['line']} [{row['rule']}]" if first["line"] else f"[{row['rule']}]"
    origin = f", from {first['origin']}" if first["origin"] else ""
    got, _, expected = first["message"].partition("; expected ")
    count = f"the first of {row['count']:,} errors of {row['rule']}" if row["count"] > 1 else f"the only error of {row['rule']}"
    hint = f"{count} in {file}; audit.rules, audit.categories and audit.waivers in params.yaml say what is one"
    return Problem(first["file"], f"{place} {first['id'] or ''}".strip() + origin, got, expected or "none", hint)


if __name__ == "__main__":
    run(main)
