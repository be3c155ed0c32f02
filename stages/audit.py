"""Check the whole dataset against the rules of `audit` in params.yaml, before anything is trained on it, and describe it.

    python -m stages.audit data models/base data/audit reports/dataset.json

All findings go to findings.jsonl. If one of them is an error, the stage fails and shows the first error of each rule.
Otherwise it writes passed.txt, which the training steps depend on. The text of this file never changes, so training
does not run again when the audit does.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from cantica.core.command import run
from cantica.core.errors import InputError
from cantica.core.files import write_json, write_jsonl, write_text
from cantica.core.params import read_params
from cantica.engine.tokens import TokenCounter
from cantica.lint.altered import altered_faults
from cantica.lint.dataset_rules import budget_faults, opener_faults
from cantica.lint.derangement import unshuffled_faults
from cantica.lint.findings import Finding, Summary, SummaryRow, error_problem, overview
from cantica.lint.scan import Scan
from cantica.lint.scope import dataset_scope, for_samples
from cantica.lint.statistics import similarity, text_statistics

SCRATCH = Path(".cache")  # on the project's disk, since it needs 2 KB per example


def main(data: Path, base: Path, audit: Path, report: Path) -> None:
    operations = ("data.categories", "data.pairing", "data.repairs", "data.system", "data.thinking")
    budget = ("arms", "curriculum", "mixes", "train.batch_size", "train.iters", "train.max_seq_length")
    params = read_params("audit", "categories", *operations, *budget, "toolchain.lint", "toolchain.model")
    scope, counter, summary = dataset_scope(data, params), TokenCounter(base), Summary()
    SCRATCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as scratch:
        scan = Scan(scope, params["audit"], counter, Path(scratch))
        write_jsonl(audit / "findings.jsonl", summary.counted(all_findings(scan, params, data)))
    texts, rows = text_statistics(scan.sample, counter.count), summary.rows()
    details = {"similarity": similarity(scan.sample), "sizes": scan.sizes, "token_counts": scan.tokens, "findings": rows}
    write_json(audit / "details.json", texts | details)
    write_json(audit / "for_samples.json", for_samples(scope, params))
    write_json(report, headline(scan, texts, rows))
    print(overview(scan.size, rows, audit / "findings.jsonl"))
    errors = [row for row in rows if row["severity"] == "error"]
    if errors:
        raise InputError(*(error_problem(row, audit / "findings.jsonl") for row in errors))
    write_text(audit / "passed.txt", "No error.\n")


def all_findings(scan: Scan, params: dict, data: Path) -> Iterator[Finding]:
    """Yield every finding of a rule that is not off: about examples, about categories and arms, and about waivers."""
    yield from scan.findings()
    yield from scan.policy.findings(altered_faults(scan.files, params["data"], data / "scenarios"))
    yield from scan.policy.findings(unshuffled_faults(scan.files, params["data"], data / "scenarios"))
    yield from scan.policy.findings(opener_faults(scan.sample, params["audit"], scan.files))
    yield from scan.policy.findings(budget_faults(params, scan.sizes, scan.tokens))
    yield from scan.policy.findings(scan.policy.unused_waivers())


def headline(scan: Scan, texts: dict, rows: list[SummaryRow]) -> dict:
    """Return `reports/dataset.json`: only numbers, which `dvc metrics` can show and compare. Waived ones are separate."""
    counts = dict.fromkeys(scan.policy.active_rules(), 0)
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
        "near_duplicates": round(scan.near_duplicates / max(scan.size, 1), 4),
        "findings": counts,
        "waived": sum(row["count"] for row in rows if row["severity"] == "waived"),
    }


if __name__ == "__main__":
    run(main)
