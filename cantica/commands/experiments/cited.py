"""The files of runs in docs/experiments/runs/<variant>/<seed>/, and whether they are what `cantica cite` wrote there."""

import hashlib
import json
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cantica.commands.comparison.revisions import edited
from cantica.commands.dvc.records import Lock, outputs
from cantica.commands.experiments.tuning import RUNS, Moment, Tuning
from cantica.commands.text import few, short
from cantica.commands.variants.overlays import differences
from cantica.commands.yaml_text import from_text
from cantica.core.documents import raise_any, read_json, validate
from cantica.core.errors import InputError, Problem
from cantica.core.files import write_json

RUN = "run.json"
PARSED = Path(".cache/parsed")
# {file of a cited run: the same file in the commit of the run}
FILES = {
    "params.yaml": "params.yaml",
    "dvc.lock": "dvc.lock",
    "details.json": "reports/details.json",
    "claims.json": "reports/claims.json",
}
SHOWN = 3  # keys in a message
UNTOUCHED = "`git restore` brings back what was cited; a run that was built anew is cited with `cantica cite REV`"


@dataclass(frozen=True)
class Cited:
    """A run in docs/experiments/runs/, or one that is to be written there. texts: {name: content} of its files."""

    texts: dict[str, bytes]

    @cached_property
    def about(self) -> dict[str, Any]:
        """Its run.json."""
        return json.loads(self.texts[RUN])

    @cached_property
    def params(self) -> dict[str, Any]:
        return from_text(self.texts["params.yaml"].decode())

    @cached_property
    def lock(self) -> Lock:
        """The stages of its dvc.lock."""
        return _parsed(self.texts["dvc.lock"])["stages"]

    @cached_property
    def details(self) -> dict[str, Any]:
        return json.loads(self.texts["details.json"])

    @cached_property
    def claims(self) -> dict[str, Any]:
        return json.loads(self.texts["claims.json"])

    @property
    def variant(self) -> str:
        return self.about["variant"]

    @property
    def seed(self) -> str:
        return str(self.about["seed"])

    @property
    def name(self) -> str:
        return f"{self.variant}-s{self.seed}"

    @property
    def folder(self) -> Path:
        return RUNS / self.variant / self.seed

    @property
    def digest(self) -> str:
        """SHA-256 of its run.json, which has those of the other files."""
        return sha256(self.texts[RUN])

    @property
    def tuning(self) -> Tuning:
        """When its gates and bounds were fixed, and when it was first there."""
        since, first = (Moment(**self.about[key]) for key in ("claims_since", "first_run"))
        return Tuning(since, first, self.about["shallow"])


def read_cited(without: Collection[Path] = ()) -> list[Cited]:
    """Every run in docs/experiments/runs/, but for some folders. Raises InputError with every fault of their files."""
    found, problems = [], list[Problem]()
    for folder in sorted(folder for folder in RUNS.glob("*/[!.]*") if folder not in without):
        try:
            found.append(_read(folder))
        except InputError as error:
            problems += error.problems
    raise_any(problems)
    return found


def _read(folder: Path) -> Cited:
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    expected = {RUN, *FILES}
    if names != expected:
        got = f"without {few(sorted(expected - names))}" if expected - names else f"with {few(sorted(names - expected))}"
        raise InputError(Problem(str(folder), "", got, f"a run with {', '.join(expected)}", UNTOUCHED))
    about = read_json(folder / RUN)
    validate(about, "cited_run", folder / RUN)
    if (named := f"{about['variant']}/{about['seed']}") != f"{folder.parent.name}/{folder.name}":
        raise InputError(Problem(str(folder / RUN), "variant, seed", named, "the names of its folders", UNTOUCHED))
    run = Cited({name: (folder / name).read_bytes() for name in (RUN, *FILES)})
    hashes = {name: (sha256(run.texts[name]), about["sha256"][name]) for name in FILES}
    raise_any(
        [
            Problem(str(folder / name), "", f"SHA-256 {got[:8]}…", f"{written[:8]}…, as in {RUN}", UNTOUCHED)
            for name, (got, written) in hashes.items()
            if got != written
        ]
    )
    raise_any(build_faults(str(folder), run))
    return run


def build_faults(name: str, run: Cited, stages: Collection[str] = ("report",)) -> list[Problem]:
    """The faults of a run whose files are not those of one finished build.

    name: of the run in messages. stages: those of its dvc.yaml, for dvc.lock may also have entries of earlier stages. Without
    dvc.yaml, `report` is looked at, which reads nearly all params.
    """
    hint = "build it again: `cantica variant run`"
    if "report" not in run.lock:
        return [Problem(name, "dvc.lock", "no stage report", "a build that was finished", hint)]
    found = edited({stage: entry for stage, entry in run.lock.items() if stage in stages}, run.params)
    expected, made = "those of params.yaml", outputs(run.lock["report"])
    problems = [Problem(name, "dvc.lock", f"other values of {few(found, SHOWN)}", expected, hint)] if found else []
    for file, path in FILES.items():
        if path in made and made[path] != (got := hashlib.md5(run.texts[file]).hexdigest()):
            problems.append(Problem(name, path, f"MD5 {short(got)}", f"{short(made[path])}, as in dvc.lock", hint))
    return problems


def unlike(runs: list[Cited]) -> list[Problem]:
    """A Problem for each run of another commit than the first of its variant, or with other claims."""
    found = []
    for variant in dict.fromkeys(run.variant for run in runs):
        first, *others = [run for run in runs if run.variant == variant]
        for other in others:
            hint = f"build and cite all seeds of one commit, or remove {first.folder} or {other.folder}"
            if other.about["commit"] != first.about["commit"]:
                got, expected = (f"built from {run.about['commit'][:9]}" for run in (other, first))
                found.append(Problem(other.name, "", got, f"{expected}, as {first.name}", hint))
            elif changes := differences(first.params["claims"], other.params["claims"]):
                found.append(Problem(other.name, "claims", few(changes), f"the claims of {first.name}", hint))
    return found


def _parsed(content: bytes) -> dict[str, Any]:
    """A large YAML document. It is parsed once, and kept as JSON under the hash of its content."""
    file = PARSED / f"{sha256(content)}.json"
    with suppress(InputError):
        return read_json(file)
    document = from_text(content.decode())
    write_json(file, document, shared=True)
    return document


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
