"""Run DVC in a working copy, with what it tells in a log. It ends with the process that started it, as stages end with DVC."""

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


def start_dvc(folder: Path, log: Path, claims: Path, *arguments: str) -> BaseProcess:
    """Start a DVC command in a folder, which appends what it tells to `log`; its exit code is DVC's.

    claims: a file that builds at one time share, so that each stage which several of them need is run by one.
    """
    # A process of its own that has this interpreter's modules: in the copy, `cantica` would be that of another commit.
    process = multiprocessing.get_context("spawn").Process(target=_dvc, args=(folder, log, claims, arguments))
    process.start()
    return process


def read(log: Path) -> str:
    """What a log holds; nothing where there is none yet."""
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""


def stages_run(told: str) -> list[str]:
    """The stages that DVC says it runs, one that fails at the end too; one that it restores is not among them."""
    return RUNNING.findall(told)


def failed_stage(told: str) -> str:
    """The stage that DVC says has failed, or nothing where it does not say."""
    return (FAILED.findall(told) or [""])[-1]


def _dvc(folder: Path, log: Path, claims: Path, arguments: tuple[str, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(folder)

    from dvc.cli import main

    with claims.open("w") as file:
        claim_stages(file)
        sys.exit(main(list(arguments)))


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
