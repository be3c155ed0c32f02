"""Check a sample by the rules of the audit, before anything trains on it."""

import tempfile
from dataclasses import replace
from itertools import chain
from pathlib import Path

from cantica.core.documents import raise_any, read_json
from cantica.core.files import remove_unused, write_jsonl
from cantica.core.fingerprint import fingerprint
from cantica.dataset.chat import Example
from cantica.lint.dataset_rules import opener_faults
from cantica.lint.findings import Summary, error_problem, overview
from cantica.lint.scan import Counter, Scan
from cantica.lint.scope import sample_scope

FOLDER = Path(".cache/samples")
# An author may give the same answer to two prompts, and nothing is shuffled.
NOT_FOR_SAMPLES = ("same_answer", "derangement")


def lint_sample(
    sample: str,
    examples: list[Example],
    measured: tuple[Path, Path],
    valid: Path,
    audited: Path,
    params: dict,
    counter: Counter,
) -> dict[str, dict[str, int]]:
    """Return {severity: {rule: number of findings}}: warnings and waived findings. Raises InputError if there are errors.

    measured: the evaluation prompts, and the items of behaviours. valid: the folder of validation examples. audited:
    data/audit/for_samples.json. params: `audit` and `train.max_seq_length`. The examples and all findings stay in FOLDER for a
    week, so that they can be looked up.
    """
    audit, limit, summary = params["audit"], params["train"]["max_seq_length"], Summary()
    rules = audit["categories"].get(sample, {}) | dict.fromkeys(NOT_FOR_SAMPLES, "off")
    settings = audit | {"categories": audit["categories"] | {sample: rules}}
    folder = FOLDER / f"{sample}.checked.{fingerprint([examples, settings, limit], [*measured, valid, audited])[:12]}"
    file, findings = folder / "examples.jsonl", folder / "findings.jsonl"
    write_jsonl(file, examples, shared=True)
    scope = sample_scope(sample, file, measured, valid, read_json(audited), settings, limit)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        scan = Scan(scope, settings, counter, Path(scratch))
        openers = scan.policy.findings(opener_faults(scan.sample, settings, scan.files))
        unused = scan.policy.findings(scan.policy.unused_waivers(sample))
        write_jsonl(findings, summary.counted(chain(scan.findings(), openers, unused)), shared=True)
    remove_unused(FOLDER)
    rows = summary.rows()
    print(overview(len(examples), rows, findings))
    errors = [error_problem(row, findings) for row in rows if row["severity"] == "error"]
    raise_any([replace(error, hint=f"{error.hint}; `keep` of the sample can drop such answers") for error in errors])
    return {
        severity: {row["rule"]: row["count"] for row in rows if row["severity"] == severity}
        for severity in ("warning", "waived")
    }
