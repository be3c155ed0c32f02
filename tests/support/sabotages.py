"""Sabotages of a finished project: what is done, which check must notice it, and what the check says.

python -m tests.support.sabotages      # print the tables of docs/explanation/sabotage.md
"""

import contextlib
import io
import json
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cantica.commands.cli import main
from cantica.core.documents import read_yaml
from tests.support.projects import IDENTITY, ok, run

Saboteur = Callable[[Path], None]


@dataclass(frozen=True)
class Check:
    """A check of a project. name: as readers know it. run: returns (whether the project failed, what was said)."""

    name: str
    run: Callable[[Path], tuple[bool, str]]


@dataclass(frozen=True)
class Sabotage:
    """One row of the table.

    how: what is done to the finished project. check: the check that must notice it. says: what it then says, with `…` for parts
    that are left out. fails: whether it fails the project; otherwise it flags it. Of a sabotage that nothing notices, `says` is
    what the check says of every sound project, and `why` says why.
    """

    name: str
    how: str
    do: Saboteur
    check: Check
    says: str
    fails: bool = True
    why: str = ""

    def noticed(self, failed: bool, text: str) -> bool:
        """Whether a check ended and said what it must of a project that was sabotaged so."""
        return failed == self.fails and self.said_in(text)

    def said_in(self, text: str) -> bool:
        parts = (re.escape(part) for part in self.says.split(" … "))
        return bool(re.search(r"[\s\S]*?".join(parts), text))


# ---- checks


def cantica(project: Path, *arguments: str) -> tuple[bool, str]:
    """Run a command of Cantica in this process, in which tests can switch a check off."""
    printed = io.StringIO()
    with contextlib.chdir(project), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            main([*arguments])
        except SystemExit as stopped:
            return True, f"{printed.getvalue()}{stopped.code}"
    return False, printed.getvalue()


def forked(project: Path, *command: str) -> tuple[bool, str]:
    """Run a command in a process of its own."""
    done = run(project, *command)
    return done.returncode != 0, done.stdout + done.stderr


def keep(project: Path) -> None:
    """Commit everything, or an empty commit."""
    ok(project, "git", "add", "--all")
    ok(project, "git", *IDENTITY, "commit", "--quiet", "--allow-empty", "--message", "Go on")


def _built_and_compared(project: Path) -> tuple[bool, str]:
    ok(project, "dvc", "repro", "--quiet")
    keep(project)
    return cantica(project, "compare", "HEAD~1", "HEAD")


def rebuilt(stage: str, out: str) -> Check:
    """A stage is run again, whatever DVC knows of it, and its output is compared with the one that was there."""

    def again(project: Path) -> tuple[bool, str]:
        ok(project, "dvc", "repro", "--quiet", "--force", "--single-item", stage)
        return cantica(project, "explain", "--diff", "HEAD", out)

    return Check(f"`dvc repro --force` of {stage}, after which `cantica explain --diff HEAD`", again)


# Runs the commands of stages in one process, which is three times as fast as DVC.
IN_ONE = """
import json, runpy, sys
for command in json.loads(sys.argv[1]):
    sys.argv = command
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)
"""


def _audited(project: Path) -> tuple[bool, str]:
    """Run what makes the dataset, and the audit, by the commands in dvc.lock. DVC would run no other stage before them."""
    stages = read_yaml(project / "dvc.lock")["stages"]
    names = [name for kind in ("render@", "dataset@", "audit") for name in stages if name.startswith(kind)]
    commands = [shlex.split(stages[name]["cmd"].removeprefix("exec python -m ")) for name in names]
    return forked(project, sys.executable, "-c", IN_ONE, json.dumps(commands))


AUDIT = Check("the stage `audit`", _audited)
CHECK = Check("`cantica check`", lambda project: cantica(project, "check"))
COMPARED = Check("`cantica compare`", _built_and_compared)


def compared(*names: str) -> Check:
    """Finished runs are compared."""
    return Check("`cantica compare`", lambda project: cantica(project, "compare", *names))


# ---- what saboteurs do


def edited_lines(file: Path, change: Callable[[list], object]) -> None:
    """Change the records of a JSON Lines file in place."""
    records = [json.loads(line) for line in file.read_text().splitlines()]
    change(records)
    file.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))


# ---- the page


def table(rows: list[Sabotage]) -> str:
    """The rows as a table in Markdown: those that are noticed, or those that are not."""
    if any(row.why for row in rows):
        lines = [("sabotage", "how", "passes", "why nothing notices it")]
        lines += [(row.name, row.how, row.check.name, row.why) for row in rows]
    else:
        lines = [("sabotage", "how", "noticed by", "says")]
        lines += [(row.name, row.how, _by(row), f"`{row.says}`") for row in rows]
    lines.insert(1, ("---",) * 4)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _by(row: Sabotage) -> str:
    return f"{row.check.name} {'fails' if row.fails else 'flags it'}"


if __name__ == "__main__":
    from tests.support.sabotaged_builds import BUILDS
    from tests.support.sabotaged_families import FAMILIES

    print(table([row for row in (*BUILDS, *FAMILIES) if not row.why]), end="\n\n")
    print(table([row for row in (*BUILDS, *FAMILIES) if row.why]))
