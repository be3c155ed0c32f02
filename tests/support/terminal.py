"""Commands that are run in a terminal."""

import os
import pty
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.support.projects import ENVIRONMENT


def in_terminal(folder: Path, *command: str, **environment: str) -> str:
    """What a command that succeeds prints in a terminal, with the codes that move the cursor and set colours."""
    ours, its = pty.openpty()
    env = ENVIRONMENT | {"TERM": "xterm-256color", "COLUMNS": "120"} | environment
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=its, env=env)
    os.close(its)
    said = b""
    with suppress(OSError):  # the end of a terminal, on Linux
        while read := os.read(ours, 4096):
            said += read
    os.close(ours)
    assert process.wait() == 0, said.decode()
    return said.decode()
