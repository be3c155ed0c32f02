"""One variant with one seed on HEAD: its build in a working copy, which becomes a DVC experiment."""

import contextlib
import json
import tempfile
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from cantica.commands.dvc.copies import SCRATCH, make_copy
from cantica.commands.dvc.run import failed_stage, read_log, stages_run, start_dvc
from cantica.commands.git import git, must
from cantica.commands.headline import headline
from cantica.commands.plan import expected_times, plan
from cantica.commands.variants.files import load_variant
from cantica.commands.variants.overlays import differences
from cantica.commands.variants.progress import Status, status
from cantica.commands.yaml_text import from_text
from cantica.core.errors import InputError
from cantica.core.params import FILE

LOGS = Path(".cache/variants")
COPIES = SCRATCH / "variants"
LOCKS = SCRATCH / "variants.locks"


@dataclass(frozen=True)
class Run:
    """One variant with one seed, or with the seeds of params.yaml, on one commit. `params` is the text of its params.yaml."""

    variant: str
    seed: int | None
    head: str
    params: str

    @property
    def name(self) -> str:
        """The experiment's name. A git reference may hold `+`, so the name of a composed variant needs no change."""
        return self.variant if self.seed is None else f"{self.variant}-s{self.seed}"

    @property
    def reference(self) -> str:
        """The git reference under which DVC keeps the experiment."""
        return f"refs/exps/{self.head[:2]}/{self.head[2:]}/{self.name}"

    @property
    def branch(self) -> str:
        return f"variant/{self.name}"

    @property
    def log(self) -> Path:
        return LOGS / f"{self.name}.log"

    def is_done(self) -> bool:
        """Whether the experiment exists and was made from exactly these params."""
        made_from = git("show", f"{self.reference}:{FILE}")
        return made_from is not None and from_text(made_from) == from_text(self.params)

    def steps(self) -> list[str]:
        """The inputs of each step, once the experiment exists, as text. Equal texts are one step, trained once."""
        lock = from_text(must("show", f"{self.reference}:dvc.lock"))["stages"]
        entries = [lock[f"train@{step}"] for step in from_text(self.params)["curriculum"]]
        return [json.dumps([e["cmd"], e["deps"], e["params"]], sort_keys=True) for e in entries]


class Build:
    """The build of a run in a process of its own, `process`, which is started at once."""

    def __init__(self, run: Run, watched: bool = False):
        """watched: whether anybody sees how far it is, so that it is worth to plan it."""
        self.run = run
        run.log.parent.mkdir(parents=True, exist_ok=True)
        run.log.write_bytes(b"")
        COPIES.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(dir=COPIES.resolve()))
        make_copy(self.folder, run.head, run.params)
        self.expected = _expected(self.folder) if watched else {}
        self.process: BaseProcess = start_dvc(self.folder, run.log.resolve(), LOCKS.resolve(), "repro")

    def status(self) -> Status:
        """How far it is."""
        return status(read_log(self.run.log), self.expected)

    def keep(self) -> str:
        """Keep the build as an experiment, once its process has ended. Returns what went wrong, or ""."""
        if self.process.exitcode != 0:
            return f"failed in {failed_stage(read_log(self.run.log)) or 'DVC'}, see {self.run.log}"
        # Not `dvc exp save`, which would put its own file .dvc/tmp/repro.dat into the commit.
        must("add", "--all", folder=self.folder)
        commit = ("commit", "--quiet", "--no-verify", "--no-gpg-sign", "--allow-empty", "-m", _message(self.run, self.folder))
        must(*commit, folder=self.folder)
        _fetch(self.folder, self.run.reference)
        return ""

    def trained(self) -> int:
        """How many steps this build trained to their ends; steps that it restored do not count."""
        log = read_log(self.run.log)
        return sum(stage.startswith("train@") and stage != failed_stage(log) for stage in stages_run(log))


def _expected(folder: Path) -> dict[str, float | None]:
    """The seconds of each stage that the build in a folder will run; {} where that cannot be planned, and so not built."""
    with contextlib.chdir(folder), contextlib.suppress(InputError):
        return expected_times(plan())
    return {}


def _fetch(folder: Path, reference: str) -> None:
    """Fetch a copy's HEAD into the project, as a reference that nothing but `cantica variant run` writes."""
    # A command that was killed here has left git's lock of the reference.
    Path(must("rev-parse", "--git-common-dir").strip(), f"{reference}.lock").unlink(missing_ok=True)
    quietly = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance")
    must("fetch", *quietly, str(folder), f"+HEAD:{reference}")


def _message(run: Run, folder: Path) -> str:
    """The experiment's commit message: what the variant tests, the params that it changed, and the headline numbers."""
    changes = differences(from_text(must("show", f"{run.head}:{FILE}")), from_text(run.params)) or ["nothing"]
    numbers = headline(json.loads((folder / "reports/metrics.json").read_text(encoding="utf-8")))
    tests = [load_variant(part)["tests"] for part in run.variant.split("+")]
    return "\n".join([f"Build {run.name}", "", *tests, "", f"Changed in {FILE}:", *changes, "", *numbers])
