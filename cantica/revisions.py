"""What git and DVC hold of a commit's build, read where it lies: nothing is checked out.

Text that git tracks, and of DVC's outputs the records that the report was made from, come through DVC's file system of the
commit, which looks in the cache and then in a remote.
"""

import re
import subprocess
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from cantica.numbers import leaves
from cantica.records import within
from stages.lib.common.documents import read_json, read_jsonl, read_yaml
from stages.lib.common.errors import InputError, Problem, did_you_mean
from stages.lib.params import FILE
from stages.report import read_records

TEXTS = ("params.yaml", "dvc.lock", "prompts/judge/rules.yaml", "reports/metrics.json")
HELD_OUT = "data/held_out.jsonl"
FETCH = "`dvc fetch --all-commits` (of a shared experiment, `dvc exp pull`) brings them; else build it again"


@dataclass(frozen=True)
class Revision:
    """A commit and what was built there.

    name: as it was asked for. lock: the stages of its dvc.lock that its dvc.yaml has. metrics: its reports/metrics.json.
    records: as `stages.report.read_records` gives them, {} where they cannot be read, which `lacks` then explains. asked: the
    text of each held-out prompt. edited: what its dvc.lock shows to have changed since it was built.
    """

    name: str
    commit: str
    params: dict = field(default_factory=dict)
    rules: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)
    lock: dict[str, dict] = field(default_factory=dict)
    records: dict[str, dict] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    edited: tuple[str, ...] = ()
    lacks: str = ""

    @property
    def group(self) -> str:
        """What the runs of several seeds have in common: the name without `-s<seed>`."""
        return re.sub(r"-s\d+$", "", self.name)

    @property
    def seed(self) -> str:
        """The seed in the name, or ""."""
        suffix = re.search(r"-s(\d+)$", self.name)
        return suffix[1] if suffix else ""

    @property
    def context(self) -> str:
        """The arm that others are compared with in the revision's own report: the first."""
        return next(iter(self.params["arms"]))

    @property
    def arm(self) -> str:
        """The arm that is compared with those of other revisions: the last."""
        return list(self.params["arms"])[-1]


@dataclass(frozen=True)
class Group:
    """The runs of one variant, in the order named."""

    name: str
    runs: list[Revision]

    @property
    def built(self) -> dict[str, Revision]:
        """The runs whose records are there, by seed."""
        return {run.seed: run for run in self.runs if run.records}


def read_revisions(names: list[str]) -> list[Revision]:
    """Each named commit, branch, tag or experiment, once, in the order named. Raises InputError for those unknown."""
    return [read_revision(name, commit) for name, commit in resolve(names).items()]


def resolve(names: list[str]) -> dict[str, str]:
    """{name: commit}. Raises InputError with every name that neither git nor DVC knows."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.scm import resolve_rev

    known, found, problems = _known_names(), {}, []
    with Repo(".") as repo:
        for name in names:
            try:
                found[_short(name)] = resolve_rev(repo.scm, name)
            except DvcException as error:
                got = "a name of several experiments" if "ambiguous" in str(error) else "no revision that git or DVC knows"
                expected = "a commit, a branch, a tag or an experiment"
                near = did_you_mean(name, known) or (f"experiments and branches: {', '.join(known[:12])}" if known else "")
                problems.append(Problem(name, "", got, expected, near))
    if problems:
        raise InputError(*problems)
    return found


def _known_names() -> list[str]:
    """Names of experiments, branches and tags."""
    listed = ["git", "for-each-ref", "--format=%(refname)", "refs/exps", "refs/heads", "refs/tags"]
    refs = subprocess.run(listed, capture_output=True, text=True).stdout.splitlines()
    return [_short(ref) for ref in refs if not ref.startswith("refs/exps/") or ref.count("/") == 4]


def _short(ref: str) -> str:
    """An experiment, branch or tag by its name alone."""
    return re.sub(r"^refs/(exps/[0-9a-f]{2}/[0-9a-f]{38}|heads|tags)/", "", ref)


def read_revision(name: str, commit: str) -> Revision:
    """What a commit holds. What is missing, or of a form that this version cannot read, is told in `lacks`."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    files = DVCFileSystem(rev=commit)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        there = [path for path in TEXTS if files.exists(f"/{path}")]
        if len(there) < len(TEXTS):
            absent = next(path for path in TEXTS if path not in there)
            return Revision(name, commit, lacks=f"nothing was built there: it has no {absent}")
        _copy(files, there, folder)
        try:
            params, lock, rules, metrics = (
                (read_json if path.endswith("json") else read_yaml)(folder / path) for path in TEXTS
            )
            lock = {stage.name: lock["stages"][stage.name] for stage in files.repo.index.stages if stage.name in lock["stages"]}
        except (DvcException, InputError) as error:
            return Revision(name, commit, lacks=f"DVC cannot load it: {error}")
        revision = Revision(name, commit, params, rules, metrics, lock, edited=tuple(edited(lock, params)))
        if "report" not in lock:
            return replace(revision, metrics={}, lacks="not built to the end: it has no report")
        missing = _copy(files, sources(lock), folder)
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            return replace(revision, lacks=f"not in DVC's cache: {missing[0]}{more}. {FETCH}")
        try:
            records = read_records(folder / "data", params)
        except (InputError, KeyError) as error:
            return replace(revision, lacks=f"its records have another form: {error}".replace(f"{scratch}/", ""))
        held_out = folder / HELD_OUT
        asked = {record["id"]: record["prompt"] for record in read_jsonl(held_out)} if held_out.exists() else {}
        return replace(revision, records=records, asked=asked)


def _copy(files, paths: list[str], folder: Path) -> list[str]:
    """Copy files of a commit into a folder, and return those that neither the cache nor a remote has."""
    from dvc.exceptions import DvcException

    missing = []
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            (folder / path).write_bytes(files.read_bytes(f"/{path}"))
        except (OSError, DvcException):
            missing.append(path)
    return missing


def sources(lock: dict[str, dict]) -> list[str]:
    """The outputs under data/ that the report was made from, and the held-out prompts."""
    read = [dep["path"] for dep in lock["report"]["deps"] if dep["path"].startswith("data/")]
    outs = [out["path"] for entry in lock.values() for out in entry.get("outs", [])]
    return [out for out in outs if out == HELD_OUT or any(within(out, path) for path in read)]


def edited(lock: dict[str, dict], params: dict) -> list[str]:
    """The params and the outputs of other stages that some stage of dvc.lock was built with, and that are others now."""
    made = {out["path"]: out.get("md5") for entry in lock.values() for out in entry.get("outs", [])}
    found = []
    for entry in lock.values():
        found += [dep["path"] for dep in entry.get("deps", []) if made.get(dep["path"], dep.get("md5")) != dep.get("md5")]
        for key, value in entry.get("params", {}).get(str(FILE), {}).items():
            now = params
            for name in key.split("."):
                now = now.get(name) if isinstance(now, dict) else None
            was, now = leaves(value, key), leaves(now, key)
            found += [leaf for leaf in {**was, **now} if was.get(leaf) != now.get(leaf)]
    return list(dict.fromkeys(found))


def grouped(runs: list[Revision], baseline: str | None) -> list[Group]:
    """The groups, the baseline first: the one asked for by its name or that of a run of it, or the first named."""
    groups: dict[str, Group] = {}
    for run in runs:
        groups.setdefault(run.group, Group(run.group, [])).runs.append(run)
    name = next((run.group for run in runs if baseline in (run.name, run.group)), baseline)
    if baseline and name not in groups:
        expected = f"one of the compared: {', '.join(groups)}"
        raise InputError(Problem("--baseline", "", repr(baseline), expected, did_you_mean(baseline, groups)))
    return sorted(groups.values(), key=lambda group: group.name != name) if baseline else list(groups.values())
