"""Run DVC in a working copy, with what it tells in a log. It ends with the process that started it, as stages end with DVC."""

import multiprocessing
import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path

RUNNING = re.compile(r"^Running stage '(.+?)'", re.MULTILINE)
FAILED = re.compile(r"failed to reproduce '(.+?)'")


def run_dvc(folder: Path, log: Path, *arguments: str, watch: Callable[[str], None] = lambda told: None) -> bool:
    """Run a DVC command in a folder, append what it tells to `log`, and return whether it succeeded.

    watch: called twice a second with all that the log holds.
    """
    # A process of its own that has this interpreter's modules: in the copy, `cantica` would be that of another commit.
    process = multiprocessing.get_context("spawn").Process(target=_dvc, args=(folder, log, arguments))
    process.start()
    try:
        while process.is_alive():
            process.join(0.5)
            watch(read(log))
    finally:
        # On Ctrl-C. What is lost is the stage that runs, and of a step what its last checkpoint does not have.
        process.kill()
        process.join()
    return process.exitcode == 0


def read(log: Path) -> str:
    """What a log holds; nothing where there is none yet."""
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""


def stages_run(told: str) -> list[str]:
    """The stages that DVC says it runs, one that fails at the end too; one that it restores is not among them."""
    return RUNNING.findall(told)


def failed_stage(told: str) -> str:
    """The stage that DVC says has failed, or nothing where it does not say."""
    return (FAILED.findall(told) or [""])[-1]


def _dvc(folder: Path, log: Path, arguments: tuple[str, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(folder)

    from dvc.cli import main

    sys.exit(main(list(arguments)))


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
