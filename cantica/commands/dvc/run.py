"""Run DVC in a working copy, with its output in a log. It ends with the process that started it, as stages end with DVC."""

import multiprocessing
import os
import re
import sys
import threading
from multiprocessing.process import BaseProcess
from pathlib import Path

from cantica.engine.backend.patches.dvc import claim_stages

RUNNING = re.compile(r"^Running stage '(.+?)'", re.MULTILINE)
FAILED = re.compile(r"failed to reproduce '(.+?)'")


def start_dvc(folder: Path, log: Path, locks: Path, *arguments: str) -> BaseProcess:
    """Start a DVC command in a folder. Its output is appended to `log`; the exit code of the process is DVC's.

    locks: a file that builds at one time share, so that each stage which several of them need is run by one.
    """
    # A process of its own that has this interpreter's modules: in the copy, `cantica` would be that of another commit.
    process = multiprocessing.get_context("spawn").Process(target=_dvc, args=(folder, log, locks, arguments))
    process.start()
    return process


def read_log(log: Path) -> str:
    """The text of a log, "" if there is none yet."""
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""


def stages_run(log: str) -> list[str]:
    """The stages that DVC ran, by its log: the one that failed is among them, those that it restored are not."""
    return RUNNING.findall(log)


def failed_stage(log: str) -> str:
    """The stage that failed, by DVC's log, or ""."""
    return (FAILED.findall(log) or [""])[-1]


def _dvc(folder: Path, log: Path, locks: Path, arguments: tuple[str, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(folder)

    from dvc.cli import main

    with locks.open("w") as file:
        claim_stages(file)
        sys.exit(main(list(arguments)))


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
    os._exit(1)
