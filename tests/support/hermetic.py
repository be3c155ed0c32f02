"""Compare what each stage declares in dvc.yaml with what it reads, by running every stage of a project.

    python -m tests.support.hermetic PROJECT      # PROJECT is a scratch copy: every output is rebuilt

Three units are coarser than what a stage reads: a package of cantica/, of which it may import a single module; a group of
versions under `toolchain`, of which it may import a single library; and, for the stages in PARTLY, a section of params.

The hook in hooks/sitecustomize.py sees what Python opens, lists, imports, reads of params and connects to. It does not see
files opened in C and Rust (the tensors of `mx.load`, a tokenizer's file), nor tests whether a file exists. A
folder of weights counts as read when Python reads a file in it: nothing here loads tensors without their configuration.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path

from cantica.commands.dvc.records import is_gate
from tests.support.projects import ENVIRONMENT, ROOT

HOOKS = Path(__file__).parent / "hooks"
# DVC's records, the environment, checkpoints and caches: outputs do not depend on them.
ELSEWHERE = (".dvc/", ".venv/", ".cache/")
# Values of base.source that need the network.
REMOTE = ("pypi", "hub")
# Stages that ask a server.
SERVED = ("respond_server", "sample_server")
# Stages that declare a section of params and look at a part of it: the report shows what a build has, and the lint of a sample
# looks up the severity of a rule when there is a finding.
PARTLY = ("report", "sample", "sample_server")
# The module that a version is used through, where it has another name.
MODULES = {"scipy-openblas32": "mlx", "blas-core": "threadpoolctl"}


@dataclass(frozen=True)
class Stage:
    """A stage as DVC resolves it."""

    name: str
    cmd: str
    deps: frozenset[str]
    params: frozenset[str]
    outs: frozenset[str]
    persistent: frozenset[str]  # outputs that DVC leaves in place, so that the stage can read them

    @property
    def group(self) -> str:
        """The name in dvc.yaml, which entries of a `foreach` share."""
        return self.name.split("@")[0]


@dataclass(frozen=True)
class Run:
    """A stage that ran in a project, and the records of the hook."""

    project: Path
    stage: Stage
    records: list[tuple[str, str]]

    def recorded(self, *events: str) -> set[str]:
        return {what for event, what in self.records if event in events}

    @cached_property
    def modules(self) -> set[str]:
        """Files of the project's modules that the stage imports, at its start or later, without empty ones."""
        names = [name.replace(".", "/") for name in self.recorded("imports")]
        files = {f"{name}{end}" for name in names for end in (".py", "/__init__.py")}
        files |= {file for path in self.recorded("started with") if (file := self.inside(path))}
        return {file for file in files if self._says_something(file)}

    @cached_property
    def reads(self) -> set[str]:
        """Files and folders of the project that the stage reads, modules among them, its own outputs not."""
        paths = {file for path in self.recorded("reads", "lists") if (file := self.inside(path))}
        paths = {file for file in paths if not file.endswith(".py") or self._says_something(file)}
        # A stage that keeps a list of a folder's names lists that folder.
        paths -= {out.rpartition("/")[0] for out in self.stage.persistent}
        return {path for path in paths if not within(path, self.stage.outs)} | self.modules

    @cached_property
    def writes(self) -> set[str]:
        """Files and folders of the project that the stage writes, and that are not on the way to its outputs."""
        paths = {file for path in self.recorded("writes") if (file := self.inside(path)) and "__pycache__" not in path}
        return {path for path in paths if not within(path, self.stage.outs) and not leads_to(path, self.stage.outs)}

    def inside(self, path: str) -> str | None:
        """A path relative to the project; None for one outside, and for what reaches no output."""
        # Modules from the checkout in which the tests' environment is installed count as modules of the project.
        for root in dict.fromkeys((self.project, self.project.resolve(), ROOT.resolve())):
            if Path(path).is_relative_to(root):
                break
        else:
            return None
        name = Path(path).relative_to(root).as_posix()
        if f"{name}/".startswith(ELSEWHERE):
            return None
        # Compiled code counts as its source, a partial output as the output.
        name = re.sub(r"__pycache__/([^/.]+)\..*\.pyc", r"\1.py", name)
        return re.sub(r"(^|/)\.([^/]+)\.partial(?=/|$)", r"\1\2", name)

    def _says_something(self, file: str) -> bool:
        found = [root / file for root in (self.project, ROOT) if (root / file).is_file()]
        return bool(found) and found[0].stat().st_size > 0


def within(path: str, places) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def is_package(dep: str) -> bool:
    """Whether a dependency is a package of the library."""
    return dep.startswith("cantica/")


def leads_to(path: str, places) -> bool:
    return any(place.startswith(f"{path}/") for place in places)


def stages_of(project: Path) -> tuple[dict[str, Stage], dict[str, set[str]]]:
    """The stages of a project, and for each the stages that it follows."""
    from dvc.dependency.param import ParamsDependency
    from dvc.repo import Repo

    with Repo(str(project)) as repo:
        stages, follows = {}, {}
        for stage in repo.index.stages:
            params = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
            stages[stage.name] = Stage(
                stage.name,
                stage.cmd,
                frozenset(dep.def_path for dep in stage.deps if dep not in params),
                frozenset(key for dep in params for key in dep.params),
                frozenset(out.def_path for out in stage.outs),
                frozenset(out.def_path for out in stage.outs if out.persist),
            )
            follows[stage.name] = {before.name for before in repo.index.graph.successors(stage)}
    return stages, follows


def build(project: Path) -> list[Run]:
    """Run every stage of a project, each after those that it follows, two at a time."""
    stages, follows = stages_of(project)
    order, runs = TopologicalSorter(follows), []
    order.prepare()
    with ThreadPoolExecutor(2) as pool:
        running = {}
        while order.is_active():
            running |= {pool.submit(run_stage, project, stages[name]): name for name in order.get_ready()}
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                runs.append(done.result())
                order.done(running.pop(done))
    return runs


def run_stage(project: Path, stage: Stage) -> Run:
    """Run the command of one stage under the hook. Raises RuntimeError when it fails."""
    with tempfile.TemporaryDirectory() as scratch:
        record = Path(scratch, "record")
        path = os.pathsep.join(filter(None, [str(HOOKS), ENVIRONMENT.get("PYTHONPATH")]))
        # One thread is fastest for matrices this small.
        environment = ENVIRONMENT | {"PYTHONPATH": path, "CANTICA_RECORD": str(record), "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(stage.cmd, shell=True, cwd=project, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{stage.name} fails under the hook\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
        return Run(project, stage, [tuple(json.loads(line)) for line in record.read_text().splitlines()])


def faults(runs: list[Run]) -> list[str]:
    """A sentence for everything that a stage reads and does not declare, or declares and does not read."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.stage.group, []).append(run)
    undeclared = [f"{run.stage.name} {fault}" for run in runs for fault in undeclared_by(run)]
    made = set().union(*(run.stage.outs for run in runs))
    return undeclared + [f"{group} {fault}" for group, members in groups.items() for fault in unused_by(members, made)]


def undeclared_by(run: Run) -> list[str]:
    """A sentence for everything that one stage reads, writes, connects to or starts without declaring it."""
    stage = run.stage
    found = []
    for path in sorted(run.reads):
        if not within(path, stage.deps):
            found.append(f"{'imports' if path in run.modules else 'reads'} {path}, which is not among its deps")
    for key in sorted(run.recorded("params")):
        if not any(f"{key}.".startswith(f"{declared}.") for declared in stage.params):
            found.append(f"reads the key {key}, which is not among its params")
    found += [f"writes {path}, which is not among its outs" for path in sorted(run.writes)]
    params = params_of(run.project)
    asks = stage.group in SERVED or (stage.group == "render" and params["data"]["writer"] == "model")  # a server
    if not (asks or (stage.group == "base" and params["base"]["source"] in REMOTE)):
        found += [f"connects to {address}" for address in sorted(run.recorded("connects"))]
    # The hook does not see what programs other than this Python read.
    programs = {program for program in run.recorded("starts") if Path(program).resolve() != Path(sys.executable).resolve()}
    if asks:
        programs -= {"uname"}  # the client describes its machine in a header of the request
    return found + [f"starts {program}, and what that reads is not seen" for program in sorted(programs)]


def unused_by(runs: list[Run], made: set[str]) -> list[str]:
    """A sentence for everything that a stage declares and none of its `foreach` entries uses.

    Of a folder that people edit every file counts; of those that are `made` by stages some files are for other programs,
    and of a package of code one module is enough, as is one library of a group of versions.
    """
    reads, looked, through, packages = set(), set(), set(), set()
    for run in runs:
        reads |= run.reads
        looked |= run.recorded("looks at")
        through |= run.recorded("goes through")
        packages |= run.recorded("imports")
    found = []
    for dep in sorted(set().union(*(run.stage.deps for run in runs))):
        if is_gate(dep):
            continue  # stages wait for a gate and do not read it
        if not any(within(path, [dep]) for path in reads):
            found.append(f"declares the dep {dep} and does not read it")
        elif not within(dep, made) and not leads_to(dep, made) and not is_package(dep):
            left = sorted(set(files_of(runs[0].project, dep)) - reads)
            some = ", ".join([*left[:2], "…"] if len(left) > 2 else left)
            found += [f"declares the dep {dep} and does not read {len(left)} of its files: {some}"] if left else []
    keys = {key: run for run in runs for key in run.stage.params}
    for key, run in sorted(keys.items()):
        if key.startswith("toolchain."):
            group = value_of(params_of(run.project), key)
            if not packages & {MODULES.get(name, name.replace("-", "_")) for name in group}:
                found.append(f"declares the param {key} and imports none of its libraries")
            continue
        left = unseen(key, value_of(params_of(run.project), key), looked, through, run.stage.cmd)
        if left == [key]:
            found.append(f"declares the param {key} and does not look at it")
        elif left and run.stage.group not in PARTLY:
            found.append(f"declares the param {key} and of it does not look at {', '.join(left)}")
    return found


def unseen(key: str, value, looked: set[str], through: set[str], cmd: str) -> list[str]:
    """Dotted keys of the values under `key` that no stage looks at; just `key` when that is all of them."""
    # DVC cannot hash only the keys of a section, so a stage that iterates over them declares the whole section. A value
    # in the command counts as used: an edit of it runs the stage.
    if key in through or (isinstance(value, str) and value in cmd):
        return []
    if not isinstance(value, dict):
        return [] if key in looked else [key]
    left = {name: unseen(f"{key}.{name}", item, looked, through, cmd) for name, item in value.items()}
    if value and all(keys == [f"{key}.{name}"] for name, keys in left.items()):
        return [key]
    return [found for keys in left.values() for found in keys]


def files_of(project: Path, place: str) -> list[str]:
    """Files of a folder, or the file itself."""
    found = [project / place, *(project / place).rglob("*")]
    found = [path for path in found if path.is_file() and "__pycache__" not in path.parts and path.stat().st_size]
    return [path.relative_to(project).as_posix() for path in found]


def params_of(project: Path) -> dict:
    from ruamel.yaml import YAML

    return YAML(typ="safe").load((project / "params.yaml").read_text())


def value_of(params: dict, key: str):
    for name in key.split("."):
        params = params[name]
    return params


if __name__ == "__main__":
    checked = build(Path(sys.argv[1]).absolute())
    found = faults(checked)
    print("\n".join(found) or "every stage reads what it declares and declares what it reads")
    sys.exit(f"{len(found)} faults in {len(checked)} runs" if found else 0)
