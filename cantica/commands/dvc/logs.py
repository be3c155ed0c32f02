"""What DVC prints of the stages that it runs."""

import re
from pathlib import Path

RUNNING = re.compile(r"^Running stage '(.+?)'", re.MULTILINE)
FAILED = re.compile(r"failed to reproduce '(.+?)'")


def read_log(log: Path) -> str:
    """The text of a log, "" if there is none yet."""
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""


def stages_run(log: str) -> list[str]:
    """The stages that DVC ran, by its log: the one that failed is among them, those that it restored are not."""
    return RUNNING.findall(log)


def failed_stage(log: str) -> str:
    """The stage that failed, by DVC's log, or ""."""
    return (FAILED.findall(log) or [""])[-1]
