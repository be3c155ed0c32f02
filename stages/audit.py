"""Hold the whole dataset against the rules of `audit` in params.yaml, before anything is trained on it, and measure it.

    python -m stages.audit data models/base data/audit reports/dataset.json

Writes findings.jsonl, and passed.txt if none of them is an error. Steps depend on passed.txt, whose text never changes:
an error stops them all, and another figure trains nothing again.
"""

import tempfile
from collections import Counter
from pathlib import Path

from stages.lib.common.command import run
from stages.lib.common.errors import InputError, Problem
from stages.lib.common.files import write_json, write_jsonl, write_text
from stages.lib.findings import budgets, opener_findings
from stages.lib.params import read_params
from stages.lib.scan import Scan
from stages.lib.statistics import figures, similarity
from stages.lib.tokens import TokenCounter

PACKAGES = ("mlx-lm", "numpy", "rensa", "tokenizers", "transformers")
SCRATCH = Path(".cache")  # on the project's disk: 2 KB an example
SHOWN = 20  # errors told; findings.jsonl has them all


def main(data: Path, base: Path, audit: Path, report: Path) -> None:
    sections = ("arms", "audit", "categories", "curriculum", "data.pairing", "data.thinking", "mixes")
    budget = ("train.batch_size", "train.iters", "train.max_seq_length")
    params = read_params(*sections, *budget, *(f"toolchain.{package}" for package in PACKAGES))
    counter = TokenCounter(base)
    SCRATCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as scratch:
        scan = Scan(data, params, counter, Path(scratch))
        findings = [*scan.findings(), *opener_findings(scan.sample, params["audit"], data), *budgets(params, scan.tokens)]
    severities = params["audit"]["rules"]
    findings = [{"severity": severities[f["rule"]]} | f for f in findings if severities[f["rule"]] != "off"]
    texts = figures(scan.sample, counter.count)
    write_jsonl(audit / "findings.jsonl", findings)
    write_json(
        audit / "details.json",
        texts | {"similarity": similarity(scan.sample), "sizes": scan.sizes, "token_counts": scan.tokens},
    )
    write_json(report, headline(scan, texts, findings, params["audit"]))
    errors = [finding for finding in findings if finding["severity"] == "error"]
    told = f"{len(errors)} errors, {len(findings) - len(errors)} warnings"
    print(f"{scan.size} examples: {told}, in {audit / 'findings.jsonl'}")
    if errors:
        more = f"{len(errors)} errors in all, in {audit / 'findings.jsonl'}; severities are in params.yaml under audit.rules"
        raise InputError(*(_problem(finding, more) for finding in errors[:SHOWN]))
    write_text(audit / "passed.txt", "No error.\n")


def headline(scan: Scan, texts: dict, findings: list[dict], settings: dict) -> dict:
    """`reports/dataset.json`: numbers alone, so that `dvc metrics` can show and compare them."""
    counts = Counter(finding["rule"] for finding in findings)
    return {
        "examples": {split: sum(sizes.values()) for split, sizes in scan.sizes.items()},
        "tokens": {split: sum(tokens.values()) for split, tokens in scan.tokens.items()},
        "sample": texts["n"],
        "words": texts["words"],
        "distinct": texts["distinct"],
        "repeated_8_words": max((run["share"] for run in texts["repeated"]), default=0.0),
        "same_opener": max((opener["share"] for opener in texts["openers"]), default=0.0),
        "near_duplicates": round(scan.near / scan.size, 4),
        "findings": {rule: counts[rule] for rule, severity in settings["rules"].items() if severity != "off"},
    }


def _problem(finding: dict, more: str) -> Problem:
    place = f"line {finding['line']}" if finding["line"] else ""
    got, _, expected = finding["message"].partition("; expected ")
    return Problem(finding["file"], f"{place} [{finding['rule']}]".strip(), got, expected or "none", more)


if __name__ == "__main__":
    run(main)
