"""`cantica variant list | show | diff | apply | run`: named overlays on params.yaml."""

import sys

from cantica.commands.builds.cluster import ClusterFault
from cantica.commands.builds.progress import Progress
from cantica.commands.checks.claims import read_measured
from cantica.commands.dvc.remote import RemoteFault
from cantica.commands.variants.family import family, run_family, uncommitted
from cantica.commands.variants.files import apply_variant, overlaid
from cantica.commands.variants.fit import Fit
from cantica.commands.variants.overlays import differences
from cantica.commands.yaml_text import to_text
from cantica.core.documents import raise_any, read_yaml
from cantica.core.params import FILE


def show(name: str) -> str:
    """params.yaml with the variant laid over it."""
    return to_text(overlaid(name)).removesuffix("\n")


def diff(name: str) -> str:
    """The changes that the variant makes in params.yaml. Raises InputError, also for claims that cannot be measured."""
    raise_any(Fit(FILE.read_text(encoding="utf-8"), read_measured()).faults(name))
    return "\n".join(differences(read_yaml(FILE), overlaid(name))) or _no_change(name)


def apply(name: str) -> str:
    """Lay the variant over params.yaml and say what changed."""
    changes = apply_variant(name)
    if not changes:
        return _no_change(name)
    hint = f"params.yaml now has the variant {name}: `dvc repro` builds it, `git restore params.yaml` undoes it"
    return "\n".join([*changes, "", hint])


def run(variants: list[str], seeds: list[int] | None, jobs: int, scheduler: str, branches: bool) -> None:
    """Build each variant with each seed. Ends the program with a message if a build failed."""
    if files := uncommitted():
        print(f"builds use HEAD, without these uncommitted changes: {', '.join(files)}", flush=True)
    runs = family(variants, seeds)
    try:
        with Progress([run.name for run in runs]) as progress:
            failed = run_family(runs, progress, branches, jobs, scheduler)
    except (ClusterFault, RemoteFault) as error:
        sys.exit(f"cantica: {error}")
    if failed:
        sys.exit(f"cantica: {len(failed)} of {len(runs)} failed: {', '.join(run.name for run in failed)}")


def _no_change(name: str) -> str:
    return f"params.yaml already has every setting of {name}"
