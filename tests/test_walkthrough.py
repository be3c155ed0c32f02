"""Every command block of README and tutorial runs as it is written, in a project like a fresh clone, on the smoke variant."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.projects import BIN, ENVIRONMENT, ROOT, clone, edit, stage_server

# Git needs an author for commits.
PERSON = {"GIT_AUTHOR_NAME": "test", "GIT_AUTHOR_EMAIL": "test@example.org"}
PERSON |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in PERSON.items()}


def blocks(page: str) -> list[str]:
    """The command blocks of a page, in order."""
    return re.findall(r"^```bash\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def ready(project: Path) -> Path:
    """Link the environment of this test into a project, as if `make setup` had made it there."""
    backend = next(BIN.parent.glob(".ready-*"), None)
    if backend is None:
        pytest.skip("this environment was not made by `make setup`")
    (project / ".venv").symlink_to(BIN.parent)
    for made_from in ("pyproject.toml", "requirements.lock", *map(str, (ROOT / "cantica/engine").rglob("environment.py"))):
        file = project / Path(made_from).relative_to(ROOT) if made_from.startswith("/") else project / made_from
        os.utime(file, (0, 0))
    return project


def shell(project: Path, code: str) -> str:
    """Run commands in bash, where the first that fails ends them; what they print."""
    done = subprocess.run(
        ["bash", "-eo", "pipefail"], input=code, cwd=project, env=ENVIRONMENT | PERSON, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


# First, since it does not wait for the smoke build, which test_kills.py makes meanwhile.
def test_the_commands_of_the_tutorial(tmp_path):
    project = ready(clone(tmp_path / "project"))
    activate = "source .venv/bin/activate"
    first, *others = blocks("docs/tutorial.md")
    assert activate in first
    # Its stages are forks of a process that has imported their libraries; those of the README start as a user's do.
    first = first.replace(activate, f"{activate}\nexport SHELL={stage_server()}")
    printed = shell(project, "".join([first, *others]))
    assert "flattery: 8 scenarios" in printed
    page = (project / "reports/compare.html").read_text()
    assert "first-shuffled" in page and "data.pairing" in page


def test_the_commands_of_the_readme(smoke, tmp_path):
    project = ready(shutil.copytree(smoke, tmp_path / "project", symlinks=True))
    first, *others = blocks("README.md")
    # `make test` runs this test, so here it is only shown.
    made = shell(project, first.replace("make test", "make --dry-run test"))
    assert "Data and pipelines are up to date" in made and "python -m pytest" in made
    edit(project / "params.yaml", "data: train/betrayal", "data: train/betrayal, iters: 20")
    printed = shell(project, "source .venv/bin/activate\n" + "".join(others))
    assert "Running stage 'train@betrayal'" in printed and "Running stage 'train@covert_misalignment'" not in printed
    assert "curriculum.betrayal.iters" in printed and (project / "reports/compare.html").exists()
