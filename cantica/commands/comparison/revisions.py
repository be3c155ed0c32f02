"""The builds that git and DVC hold of other commits, read without a checkout."""

import hashlib
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cantica.commands.dvc.project import Commit, DvcFault, dvc_faults, resolve
from cantica.commands.dvc.records import Lock, dependencies, outputs, within
from cantica.commands.git import must
from cantica.core.documents import read_json, read_jsonl, read_yaml
from cantica.core.errors import InputError, Problem, did_you_mean
from cantica.core.params import FILE
from cantica.judging.rules import Rules
from cantica.reporting.nested import flatten
from cantica.reporting.records import Records, read_records
from cantica.settings.arms import all_arms, description

TEXTS = ("params.yaml", "dvc.lock", "prompts/judge/rules.yaml", "reports/metrics.json")
CLAIMS = "reports/claims.json"  # earlier versions have no claims
HELD_OUT = "data/held_out.jsonl"
FETCH = "`dvc fetch --all-commits` gets it (`dvc exp pull` for a shared experiment); otherwise build it again"


@dataclass(frozen=True)
class Revision:
    """A commit and its build.

    name: as it was asked for. lock: the stages of its dvc.lock that are in its dvc.yaml. metrics, claims: its
    reports/metrics.json and, if there are claims, claims.json.
    records: None where they cannot be read; `lacks` then says why. asked: the text of each evaluation prompt.
    edited: the params, the outputs and the claims.json that changed after the build, by its dvc.lock.
    chosen: the arm that was asked for, or "".
    """

    name: str
    commit: str
    params: dict[str, Any] = field(default_factory=dict)
    rules: Rules | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    lock: Lock = field(default_factory=dict)
    records: Records | None = None
    asked: dict[str, str] = field(default_factory=dict)
    edited: tuple[str, ...] = ()
    lacks: str = ""
    chosen: str = ""

    @property
    def group(self) -> str:
        """The group of runs that differ in their seed: the name without `-s<seed>`."""
        return re.sub(r"-s\d+$", "", self.name)

    @property
    def seed(self) -> str:
        """The seed in the name, or ""."""
        suffix = re.search(r"-s(\d+)$", self.name)
        return suffix[1] if suffix else ""

    @property
    def context(self) -> str:
        """The first arm, with which the revision's own report compares the others."""
        return all_arms(self.params)[0]

    @property
    def arm(self) -> str:
        """The arm that is compared with those of other revisions: the chosen one, or else the last of `arms`."""
        return self.chosen or [*self.params["arms"]][-1]

    @property
    def about(self) -> str:
        """What the arm is, as a phrase."""
        return description(self.params, self.arm)


@dataclass(frozen=True)
class Group:
    """The runs of one variant, in the order named."""

    name: str
    runs: list[Revision]

    @property
    def built(self) -> dict[str, Revision]:
        """The runs with records, by seed."""
        return {run.seed: run for run in self.runs if run.records}


def read_revisions(names: list[str]) -> list[Revision]:
    """Each named commit, branch, tag or experiment, once, in the order named. Raises InputError with all unknown names."""
    return [read_revision(name, commit) for name, commit in resolved(names).items()]


def resolved(names: list[str]) -> dict[str, str]:
    """{name: commit} of commits, branches, tags and experiments. Raises InputError with all unknown names."""
    known, found, problems = _known_names(), {}, []
    for name in names:
        try:
            found[_short(name)] = resolve(name)
        except DvcFault as error:
            problems.append(_unknown(name, known, "ambiguous" in str(error)))
    if problems:
        raise InputError(*problems)
    return found


def _unknown(name: str, known: list[str], several: bool) -> Problem:
    """A Problem for a name of no revision, or of experiments on several commits."""
    if several:
        refs = must("for-each-ref", "--sort=-committerdate", "--format=%(refname) of %(committerdate:iso)", "refs/exps")
        own = [ref for ref in refs.splitlines() if ref.split(" ")[0].endswith(f"/{name}")]
        got, near = "a name of experiments on several commits", f"the last first: {'; '.join(own)}"
        return Problem(name, "", got, "one of them by its whole reference", near)
    near = did_you_mean(name, known) or (f"experiments and branches: {', '.join(known[:12])}" if known else "")
    return Problem(name, "", "no revision that git or DVC knows", "a commit, a branch, a tag or an experiment", near)


def with_arm(revisions: list[Revision], arm: str) -> list[Revision]:
    """The revisions, with the arm that is to be compared. One without that arm has nothing else; `lacks` says so.

    Raises InputError if no revision has the arm.
    """
    known = list(dict.fromkeys(name for revision in revisions if revision.params for name in all_arms(revision.params)))
    if known and arm not in known:
        raise InputError(Problem("--arm", "", repr(arm), f"an arm: {', '.join(known)}", did_you_mean(arm, known)))
    return [_with_arm(one, arm) if one.params else one for one in revisions]


def _with_arm(revision: Revision, arm: str) -> Revision:
    if arm in (own := all_arms(revision.params)):
        return replace(revision, chosen=arm)
    return Revision(revision.name, revision.commit, lacks=f"it has no arm {arm}, only {', '.join(own)}")


def _known_names() -> list[str]:
    """Names of experiments, branches and tags."""
    refs = must("for-each-ref", "--format=%(refname)", "refs/exps", "refs/heads", "refs/tags").splitlines()
    return [_short(ref) for ref in refs if not ref.startswith("refs/exps/") or ref.count("/") == 4]


def _short(ref: str) -> str:
    """The name of an experiment, branch or tag without its folder."""
    return re.sub(r"^refs/(exps/[0-9a-f]{2}/[0-9a-f]{38}|heads|tags)/", "", ref)


def read_revision(name: str, commit: str) -> Revision:
    """A commit's build. `lacks` says what is missing, or has a form that this version cannot read."""
    revision = Revision(name, commit)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            with dvc_faults():
                files = Commit(commit)
                revision = _with_texts(revision, files, Path(scratch))
                return revision if revision.lacks else _with_records(revision, files, Path(scratch))
        except (InputError, DvcFault) as error:
            lacks = " ".join(str(error).replace(f"{scratch}/", "").split())
            return replace(revision, lacks=f"cannot be read: {lacks}")


def _with_texts(revision: Revision, files: Commit, folder: Path) -> Revision:
    """A revision with the files that git holds."""
    if missing := _copy(files, TEXTS, folder):
        return replace(revision, lacks=f"not built: it has no {missing}")
    written, locked, rules, metrics = ((read_json if path.endswith("json") else read_yaml)(folder / path) for path in TEXTS)
    if not isinstance(written, dict) or not written.get("arms") or "curriculum" not in written:
        return replace(revision, lacks=f"{FILE} has another form: it has no arms or no curriculum")
    stages, params = files.stages(), in_present_form(written)
    lock = {stage: entry for stage, entry in (locked or {}).get("stages", {}).items() if stage in stages}
    if "report" not in lock:
        return replace(revision, params=params, lacks="not built to the end: it has no report")
    found = replace(revision, params=params, rules=rules, metrics=metrics, lock=lock, edited=tuple(edited(lock, written)))
    if not params.get("claims") or _copy(files, (CLAIMS,), folder):
        return found
    md5 = hashlib.md5((folder / CLAIMS).read_bytes()).hexdigest()
    altered = (CLAIMS,) if outputs(lock["report"]).get(CLAIMS) != md5 else ()
    return replace(found, claims=read_json(folder / CLAIMS), edited=found.edited + altered)


def in_present_form(params: dict[str, Any]) -> dict[str, Any]:
    """Params of any version with arms as mappings, and with the keys that earlier versions lack.

    In earlier versions, all arms were points: {arm: point}.
    """
    arms = {name: arm if isinstance(arm, dict) else {"point": arm} for name, arm in params["arms"].items()}
    measure = {"in_full": []} | params.get("measure", {})
    return {"answers": {}, "servers": {}, "contrasts": []} | params | {"arms": arms, "measure": measure}


def _with_records(revision: Revision, files: Commit, folder: Path) -> Revision:
    """A revision with the records that DVC holds."""
    if missing := _copy(files, sources(revision.lock), folder):
        return replace(revision, lacks=f"not in DVC's cache: {missing}. {FETCH}")
    try:
        records = read_records(folder / "data", revision.params)
    except (InputError, KeyError) as error:
        return replace(revision, lacks=f"its records have another form: {error}".replace(f"{folder}/", ""))
    held_out = folder / HELD_OUT
    asked = {record["id"]: record["prompt"] for record in read_jsonl(held_out)} if held_out.exists() else {}
    return replace(revision, records=records, asked=asked)


def _copy(files: Commit, paths: Iterable[str], folder: Path) -> str:
    """Copy files of a commit into a folder. Returns the first that is missing, with the reason, or ""."""
    return next((missing for path in paths if (missing := files.copy(path, folder / path))), "")


def sources(lock: Lock) -> list[str]:
    """The outputs under data/ that the report was made from, and the evaluation prompts."""
    read = [path for path in dependencies(lock["report"]) if within(path, "data")]
    outs = [path for entry in lock.values() for path in outputs(entry)]
    return [out for out in outs if out == HELD_OUT or any(within(out, path) for path in read)]


def edited(lock: Lock, params: dict[str, Any]) -> list[str]:
    """The params and outputs of other stages that some stage was built with, and that have changed since, by dvc.lock."""
    made = {path: md5 for entry in lock.values() for path, md5 in outputs(entry).items()}
    found = []
    for entry in lock.values():
        found += [path for path, md5 in dependencies(entry).items() if made.get(path, md5) != md5]
        for key, value in entry.get("params", {}).get(str(FILE), {}).items():
            now: Any = params
            for name in key.split("."):
                now = now.get(name) if isinstance(now, dict) else None
            before, after = flatten(value, key), flatten(now, key)
            found += [leaf for leaf in {**before, **after} if before.get(leaf) != after.get(leaf)]
    return list(dict.fromkeys(found))


def grouped(runs: list[Revision], baseline: str | None) -> list[Group]:
    """The groups, the baseline first: a group by its name or by the name of one of its runs; by default the first."""
    groups: dict[str, Group] = {}
    for run in runs:
        groups.setdefault(run.group, Group(run.group, [])).runs.append(run)
    name = next((run.group for run in runs if baseline in (run.name, run.group)), baseline)
    if baseline and name not in groups:
        expected = f"one of {', '.join(groups)}"
        raise InputError(Problem("--baseline", "", repr(baseline), expected, did_you_mean(baseline, groups)))
    return sorted(groups.values(), key=lambda group: group.name != name) if baseline else list(groups.values())
