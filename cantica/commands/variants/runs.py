"""One variant with one seed on HEAD: its build in a working copy, which becomes a DVC experiment."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from cantica.commands.builds.snapshot import Snapshot, take_snapshot
from cantica.commands.builds.worker import committing, in_folder
from cantica.commands.builds.workspace import reproduce, restore
from cantica.commands.dvc.copies import SCRATCH, make_copy
from cantica.commands.dvc.records import Lock
from cantica.commands.git import git, must
from cantica.commands.headline import headline
from cantica.commands.variants.files import load_variant
from cantica.commands.variants.overlays import differences
from cantica.commands.yaml_text import from_text
from cantica.core.params import FILE

LOGS = Path(".cache/variants")
COPIES = SCRATCH / "variants"


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


def prepare(run: Run, folder: Path) -> Snapshot:
    """Make a working copy of a run's project in a folder, and let DVC run there what goes before all. Raises StageFailed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make_copy(folder, run.head, run.params)
    return in_folder(folder, run.log.absolute(), take_snapshot, (), Path.cwd())


def finish(run: Run, folder: Path, built: Lock) -> None:
    """Restore what was built, and let DVC run what is left. built: records of stages. Raises StageFailed."""
    in_folder(folder, run.log.absolute(), restore, built)
    # DVC runs it there and caches what it makes, which several runs often have in common.
    with committing(Path.cwd()):
        in_folder(folder, run.log.absolute(), reproduce, ["export"])
    in_folder(folder, run.log.absolute(), reproduce)


def keep(run: Run, folder: Path) -> None:
    """Keep the build in a folder as an experiment."""
    # Not `dvc exp save`, which would put its own file .dvc/tmp/repro.dat into the commit.
    must("add", "--all", folder=folder)
    must("commit", "--quiet", "--no-verify", "--no-gpg-sign", "--allow-empty", "-m", _message(run, folder), folder=folder)
    _fetch(folder, run.reference)


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
