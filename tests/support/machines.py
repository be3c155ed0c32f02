"""A Dask cluster for tests: a scheduler, and workers as processes with clones of a project, which share a DVC remote."""

import json
import os
import re
import signal
import subprocess
from collections import Counter
from functools import partial
from pathlib import Path

from tests.support.processes import wait_until
from tests.support.projects import BIN, ENVIRONMENT, ok, stage_server

QUICK = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "8s"}  # a worker that says nothing for so long counts as lost


class Machines:
    """A scheduler on this machine, and workers by name, each in a clone of the project.

    folder: of the clones and logs. remote: the URL of their DVC remote, and its settings. The project itself gets them too.
    host: the scheduler's address.
    """

    def __init__(self, project: Path, folder: Path, remote: str, settings: dict | None = None, host: str = "127.0.0.1"):
        self.project, self.folder, self.remote, self.settings = project, folder, remote, settings or {}
        self.folder.mkdir(parents=True, exist_ok=True)
        self.workers: dict[str, subprocess.Popen] = {}
        self.share(project)
        self.start_scheduler(host)

    def __enter__(self) -> "Machines":
        return self

    def __exit__(self, *error) -> None:
        for name in list(self.workers):
            self.kill(name)
        self.scheduler.kill()
        self.scheduler.wait()

    def start_scheduler(self, host: str = "127.0.0.1") -> None:
        log = self.folder / "scheduler.log"
        command = [str(BIN / "dask"), "scheduler", "--host", f"tcp://{host}:0", "--no-dashboard"]
        with log.open("w") as out:
            self.scheduler = subprocess.Popen(command, cwd=self.folder, env=ENVIRONMENT | QUICK, stdout=out, stderr=out)
        wait_until(lambda: self.scheduler.poll() is not None or "Scheduler at:" in log.read_text())
        self.address = re.search(r"Scheduler at: +(tcp://\S+)", log.read_text())[1]

    def share(self, project: Path) -> None:
        ok(project, "dvc", "remote", "add", "--local", "--default", "--force", "shared", self.remote)
        for key, value in self.settings.items():
            ok(project, "dvc", "remote", "modify", "--local", "shared", key, value)

    def start(self, *names: str, environment: dict | None = None, **options) -> None:
        """Start workers, each in its clone, which is made when it is first started."""
        for name in names:
            if not (clone := self.folder / name).exists():
                ok(self.folder, "git", "clone", "--quiet", str(self.project), name)
                self.share(clone)
            self.start_in(clone, environment, **options)

    def start_in(self, folder: Path, environment: dict | None = None, within: tuple[str, ...] = (), **options) -> None:
        """Start a worker in a folder; its name is that of the folder. within: words before the command."""
        own = {"SHELL": stage_server()} | QUICK | (environment or {})
        choices = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--name", folder.name)
        command = [*within, str(BIN / "dask"), "worker", self.address, *choices]
        with (self.folder / f"{folder.name}.log").open("a") as out:
            self.workers[folder.name] = subprocess.Popen(
                command, cwd=folder, env=ENVIRONMENT | own, stdout=out, stderr=out, start_new_session=True, **options
            )

    def kill(self, name: str, how: int = signal.SIGKILL) -> None:
        """Kill a worker, and remove the logs that it leaves."""
        worker = self.workers.pop(name)
        os.killpg(worker.pid, how)
        worker.wait()
        for log in (self.folder / name).glob(".dvc/tmp/worker-*/*.log"):
            log.unlink()

    def running(self) -> dict[str, list[str]]:
        """The stages that run on each worker."""
        logs = {name: (self.folder / name).glob(".dvc/tmp/worker-*/*.log") for name in self.workers}
        return {name: [log.name.rsplit("-", 1)[0] for log in found] for name, found in logs.items()}

    def runs(self, stage: str) -> bool:
        """Whether a stage runs on one of the workers."""
        return any(stage in stages for stages in self.running().values())

    def completed(self) -> Counter:
        """How often stages of each name ran to their ends, over all workers."""
        records = [line for file in self.folder.glob("*/.cache/timings.jsonl") for line in file.read_text().splitlines()]
        return Counter(json.loads(line)["stage"] for line in records)


def command(project: Path, *words: str) -> subprocess.Popen:
    """A command that goes on while the test does other things; what it prints goes to a file `told` beside the project."""
    with (project.parent / "told").open("w") as out:
        own = {"SHELL": stage_server()}
        # SIGINT is ignored in what a shell starts in the background, these tests for example.
        heeds = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        return subprocess.Popen(words, cwd=project, env=ENVIRONMENT | own, stdout=out, stderr=out, preexec_fn=heeds)
