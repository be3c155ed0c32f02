"""What git and DVC hold of a commit's build, read where it lies: nothing is checked out.

Text that git tracks, and of DVC's outputs the records that the report was made from, come through DVC's file system of the
commit, which looks in the cache and then in a remote.
"""

import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from cantica.commands.checks.numbers import leaves
from cantica.commands.dvc.records import within
from cantica.commands.git import must
from cantica.core.documents import read_json, read_jsonl, read_yaml
from cantica.core.errors import InputError, Problem, did_you_mean
from cantica.core.params import FILE
from cantica.reporting.records import read_records

TEXTS = ("params.yaml", "dvc.lock", "prompts/judge/rules.yaml", "reports/metrics.json")
HELD_OUT = "data/held_out.jsonl"
FETCH = "`dvc fetch --all-commits` (of a shared experiment, `dvc exp pull`) brings it; else build it again"


@dataclass(frozen=True)
class Revision:
    """A commit and what was built there.

    name: as it was asked for. lock: the stages of its dvc.lock that its dvc.yaml has. metrics: its reports/metrics.json.
    records: as `reporting.records.read_records` gives them, {} where they cannot be read, which `lacks` then explains.
    asked: the text of each held-out prompt. edited: what its dvc.lock shows to have changed since it was built.
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
    refs = must("for-each-ref", "--format=%(refname)", "refs/exps", "refs/heads", "refs/tags").splitlines()
    return [_short(ref) for ref in refs if not ref.startswith("refs/exps/") or ref.count("/") == 4]


def _short(ref: str) -> str:
    """An experiment, branch or tag by its name alone."""
    return re.sub(r"^refs/(exps/[0-9a-f]{2}/[0-9a-f]{38}|heads|tags)/", "", ref)


def read_revision(name: str, commit: str) -> Revision:
    """What a commit holds. What is missing, or of a form that this version cannot read, is told in `lacks`."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    revision = Revision(name, commit)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            files = DVCFileSystem(rev=commit)
            revision = _with_texts(revision, files, Path(scratch))
            return revision if revision.lacks else _with_records(revision, files, Path(scratch))
        except (InputError, DvcException) as error:
            lacks = " ".join(str(error).replace(f"{scratch}/", "").split())
            return replace(revision, lacks=f"cannot be read: {lacks}")


def _with_texts(revision: Revision, files, folder: Path) -> Revision:
    """A revision with what git holds of it."""
    if missing := _copy(files, TEXTS, folder):
        return replace(revision, lacks=f"nothing was built there: it has no {missing}")
    params, locked, rules, metrics = ((read_json if path.endswith("json") else read_yaml)(folder / path) for path in TEXTS)
    if not isinstance(params, dict) or not params.get("arms") or "curriculum" not in params:
        return replace(revision, lacks=f"{FILE} has another form: it names no arms of a curriculum")
    stages = {stage.name for stage in files.repo.index.stages}
    lock = {stage: entry for stage, entry in (locked or {}).get("stages", {}).items() if stage in stages}
    if "report" not in lock:
        return replace(revision, params=params, lacks="not built to the end: it has no report")
    return replace(revision, params=params, rules=rules, metrics=metrics, lock=lock, edited=tuple(edited(lock, params)))


def _with_records(revision: Revision, files, folder: Path) -> Revision:
    """A revision with what DVC holds of it."""
    if missing := _copy(files, sources(revision.lock), folder):
        return replace(revision, lacks=f"not in DVC's cache: {missing}. {FETCH}")
    try:
        records = read_records(folder / "data", revision.params)
    except (InputError, KeyError) as error:
        return replace(revision, lacks=f"its records have another form: {error}".replace(f"{folder}/", ""))
    held_out = folder / HELD_OUT
    asked = {record["id"]: record["prompt"] for record in read_jsonl(held_out)} if held_out.exists() else {}
    return replace(revision, records=records, asked=asked)


def _copy(files, paths: Iterable[str], folder: Path) -> str:
    """Copy files of a commit into a folder; return the first that neither the cache nor a remote gives, with why, or ""."""
    from dvc.exceptions import DvcException

    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            (folder / path).write_bytes(files.read_bytes(f"/{path}"))
        except FileNotFoundError:
            return path
        except DvcException:
            raise
        except Exception as error:  # each kind of remote has its own
            return f"{path} ({' '.join(str(error).split())})"
    return ""


def sources(lock: dict[str, dict]) -> list[str]:
    """The outputs under data/ that the report was made from, and the held-out prompts."""
    read = [dep["path"] for dep in lock["report"]["deps"] if within(dep["path"], "data")]
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
