"""The files of runs that are to be cited, taken from git. What does not fit together is refused."""

import re

from cantica.commands.comparison.revisions import resolved
from cantica.commands.dvc.cache import cache_folder
from cantica.commands.dvc.project import Commit
from cantica.commands.experiments.cited import FILES, RUN, Cited, build_faults, sha256
from cantica.commands.experiments.cost import cost_of
from cantica.commands.experiments.seeds import built_seeds
from cantica.commands.experiments.tuning import date_of, tuning_of
from cantica.commands.git import contents, git, must
from cantica.commands.text import few
from cantica.commands.timings import read_timings
from cantica.commands.variants.family import WRITTEN
from cantica.commands.variants.overlays import differences
from cantica.commands.variants.past import overlaid_at, variant_at
from cantica.core.documents import raise_any, validate
from cantica.core.errors import InputError, Problem
from cantica.core.files import as_json, whole_folder
from cantica.core.params import FILE

NAME = re.compile(r"(?:variant/)?(?P<variant>[^/]+)-s(?P<seed>\d+)")
A_RUN = "a run that `cantica variant run NAME --seeds …` finished"


def gather(names: list[str]) -> list[Cited]:
    """Each named run. Raises InputError with the faults of all of them."""
    found: list[Cited] = []
    problems: list[Problem] = []
    for name, commit in resolved(names).items():
        try:
            match = NAME.fullmatch(name)
            if not match:
                hint = "`dvc exp list` names the experiments"
                raise InputError(Problem(name, "", "a name without a variant and a seed", "a run NAME-s<seed>", hint))
            found.append(_run(name, commit, match["variant"], int(match["seed"])))
        except InputError as error:
            problems += error.problems
    raise_any(problems)
    return found


def _run(name: str, commit: str, variant: str, seed: int) -> Cited:
    """One run. Raises InputError."""
    texts = dict(zip(FILES, contents([f"{commit}:./{path}" for path in FILES.values()]), strict=True))
    raise_any([Problem(name, FILES[file], "no such file in this commit", A_RUN) for file, text in texts.items() if not text])
    params = Cited(texts).params
    if not params.get("claims"):
        raise InputError(Problem(name, "claims", "no claims in its params.yaml", "claims that were stated before it was built"))
    base = (git("rev-parse", "--verify", "--quiet", f"{commit}^") or "").strip()
    stages = Commit(commit).stages()
    built = build_faults(name, Cited(texts), stages)
    raise_any(built + _base_faults(name, commit, base, variant, seed, params))
    tuning = tuning_of(commit, variant, str(seed), params)
    about = {
        "variant": variant,
        "seed": seed,
        "tests": "; ".join(variant_at(base, part)["tests"] for part in variant.split("+")),
        "commit": base,
        "built": date_of(commit),
        "claims_since": tuning.since._asdict(),
        "first_run": tuning.first._asdict(),
        "shallow": tuning.shallow,
        "seeds_built": sorted(built_seeds(variant, [base])),
        "sha256": {file: sha256(text) for file, text in texts.items()},
    }
    if cost := cost_of(Cited(texts).lock, stages, read_timings(), cache_folder()):
        about["cost"] = cost
    validate(about, "cited_run", f"{name}: {RUN}")
    return Cited({RUN: as_json(about).encode(), **texts})


def _base_faults(name: str, commit: str, base: str, variant: str, seed: int, params: dict) -> list[Problem]:
    """The faults of a run that cannot be built again from the commit before it with `cantica variant run`."""
    if not base:
        return [Problem(name, "", "a commit without one before it", A_RUN)]
    try:
        found = differences(overlaid_at(base, variant, seed), params)
    except InputError as error:
        return list(error.problems)
    what = f"{FILE} of {base[:9]} with {variant} laid over it"
    problems = [Problem(name, str(FILE), few(found), f"{what}, and seed {seed}", A_RUN)] if found else []
    changed = must("diff", "--name-only", "--no-renames", "--relative", base, commit).splitlines()
    other = [file for file in changed if not WRITTEN.match(file) and file != str(FILE)]
    return problems + ([Problem(name, few(other), f"changed since {base[:9]}", "the inputs of that commit")] if other else [])


def write(runs: list[Cited]) -> None:
    """Write the files of runs, each folder completely or not at all."""
    for run in runs:
        with whole_folder(run.folder) as partial:
            for name, text in run.texts.items():
                (partial / name).write_bytes(text)
