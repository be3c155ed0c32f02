"""Projects for tests: copies of this one in folders of their own, and commands run in them."""

import atexit
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from functools import cache
from importlib import import_module
from multiprocessing.reduction import DupFd
from pathlib import Path

from tests.support.stage_server import CLIENT

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ENVIRONMENT = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "GIT_CONFIG_GLOBAL": os.devnull, "OPENBLAS_NUM_THREADS": "1"}
IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.org")


# Starts commands from a process that has already imported what they import, which is half of the time of a short one.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tests.support.preload", __name__])
MAINS = {"dvc": "dvc.cli", "cantica": "cantica.commands.cli"}


def run(project: Path, *command: str) -> subprocess.CompletedProcess:
    """Run a command in a project: `dvc` and `cantica` in a fork of a process that has imported them, others directly."""
    if command[0] not in MAINS:
        return subprocess.run(command, cwd=project, capture_output=True, text=True, env=ENVIRONMENT)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = SERVER.Process(
            target=_main, args=(project, command, stage_server(), DupFd(out.fileno()), DupFd(err.fileno()))
        )
        process.start()
        process.join()
        printed = [file.seek(0) or file.read() for file in (out, err)]
    return subprocess.CompletedProcess(command, process.exitcode, *printed)


@cache
def stage_server() -> str:
    """A shell for DVC that runs stages in forks of a process that has imported the libraries of a model."""
    folder = tempfile.mkdtemp(prefix="stages-")
    atexit.register(shutil.rmtree, folder)
    start_stage_server(Path(folder), ENVIRONMENT)
    return f"{folder}/sh"


def start_stage_server(folder: Path, environment: dict[str, str], umask: int = -1) -> subprocess.Popen:
    """Write such a shell into a folder, as `sh`. What a process takes from its environment when it starts, its stages have."""
    shell = folder / "sh"
    shell.write_text(CLIENT)
    shell.chmod(0o755)
    command = [sys.executable, "-m", "tests.support.stage_server", f"{shell}.socket"]
    server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, env=environment, umask=umask)
    while not Path(f"{shell}.socket").exists():
        assert server.poll() is None, "the server of stages did not start"
        time.sleep(0.05)
    return server


def _main(project: Path, command: tuple[str, ...], shell: str, out, err) -> None:
    os.dup2(out.detach(), 1)
    os.dup2(err.detach(), 2)
    os.environ.update(ENVIRONMENT | {"SHELL": shell})
    os.chdir(project)
    sys.exit(import_module(MAINS[command[0]]).main(list(command[1:])))


def ok(project: Path, *command: str) -> str:
    done = run(project, *command)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def refused(project: Path, *command: str) -> str:
    """What a command says that fails as it should."""
    done = run(project, *command)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr + done.stdout
    return done.stderr + done.stdout


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
    """Lay variants over a project's params, from its own folder or from `tests/support/variants/`.

    A folder there with the name of the variant has files that it needs, which are copied into the project.
    """
    for name in variants:
        own = ROOT / "tests/support/variants" / f"{name}.yaml"
        if own.exists():
            shutil.copy(own, project / "variants")
        if own.with_suffix("").is_dir():
            shutil.copytree(own.with_suffix(""), project, dirs_exist_ok=True)
        ok(project, "cantica", "variant", "apply", name)


def build(folder: Path, *variants: str, repro=lambda project: run(project, "dvc", "repro")) -> Path:
    """A project with variants laid over its params, built and committed."""
    project = clone(folder)
    overlay(project, *variants)
    done = repro(project)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    commit(project, "Build")
    return project


def build_elsewhere(folder: Path, *variants: str) -> Path:
    """As `build`, but built by another user, with another locale and time zone, on a busy machine."""
    return build(folder, *variants, repro=_repro_by_somebody)


def _repro_by_somebody(project: Path) -> subprocess.CompletedProcess:
    home = Path(tempfile.mkdtemp())
    somebody = ENVIRONMENT | {
        "USER": "somebody",
        "LOGNAME": "somebody",
        "HOME": str(home),
        "TZ": "Pacific/Auckland",
        "LC_ALL": "C",
        "LANG": "C",
        "PYTHONHASHSEED": "4321",
        "TMPDIR": str(home),
        "COLUMNS": "40",
        "SHELL": f"{home}/sh",
    }
    load = subprocess.Popen(["nice", sys.executable, "-c", "while True: pass"])
    try:
        with start_stage_server(home, somebody, umask=0o077):
            return subprocess.run(["dvc", "repro"], cwd=project, env=somebody, umask=0o077, capture_output=True, text=True)
    finally:
        load.kill()
        load.wait()
        shutil.rmtree(home)


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def refuse_system_prompts(base: Path) -> None:
    """Let the chat template of a model's folder refuse system prompts, as Gemma's does."""
    file = base / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    refusal = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    file.write_text(json.dumps(settings | {"chat_template": refusal + settings["chat_template"]}))
