"""Projects for tests: copies of this one in folders of their own, and commands run in them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
ENVIRONMENT = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "GIT_CONFIG_GLOBAL": os.devnull, "OPENBLAS_NUM_THREADS": "1"}
IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.org")


def run(project: Path, *command: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=project, capture_output=True, text=True, env=ENVIRONMENT)


def ok(project: Path, *command: str) -> str:
    done = run(project, *command)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def stages_run(project: Path, *targets: str) -> set[str]:
    return set(re.findall(r"Running stage '(.+?)'", ok(project, "dvc", "repro", *targets)))


def clone(folder: Path) -> Path:
    """A project like a fresh clone of this one, with the changes of the working tree."""
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in files.stdout.splitlines():
        if (ROOT / name).exists() and not name.startswith(("tests/", "dvc.lock", "reports/", "docs/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    ok(folder, "git", "init", "--quiet")
    commit(folder, "Start")
    return folder


def commit(project: Path, message: str) -> None:
    ok(project, "git", "add", "--all")
    ok(project, "git", *IDENTITY, "commit", "--quiet", "--message", message)


def overlay(project: Path, *variants: str) -> None:
    """Lay variants over a project's params, from its own folder or from `tests/variants/`."""
    for name in variants:
        own = ROOT / "tests/variants" / f"{name}.yaml"
        if own.exists():
            shutil.copy(own, project / "variants")
        ok(project, "cantica", "variant", "apply", name)


def build(folder: Path, *variants: str) -> Path:
    """A project with variants laid over its params, built and committed."""
    project = clone(folder)
    overlay(project, *variants)
    ok(project, "dvc", "repro")
    commit(project, "Build")
    return project


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
