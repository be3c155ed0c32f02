"""Are there seeds of a variant that are not among the runs that are shown?"""

import re
from collections.abc import Collection

from cantica.commands.experiments.tuning import KEPT, REFS
from cantica.commands.git import must


def built_seeds(variant: str, commits: Collection[str]) -> set[int]:
    """The seeds of all runs of a variant that were built from one of some commits, as far as git has them."""
    run = re.compile(rf"{KEPT}{re.escape(variant)}-s(\d+)")
    listed = (line.split() for line in must("for-each-ref", "--format=%(refname) %(parent)", *REFS).splitlines())
    return {int(match[1]) for ref, *parents in listed if (match := run.fullmatch(ref)) and set(parents) & {*commits}}


def left_out(seeds: Collection[int], built: Collection[int]) -> list[str]:
    """A sentence on the seeds that are not shown although they were built, or seem to have been; none without such.

    seeds: of the runs that are shown. Those between them count, unless they are far apart, as arbitrary numbers are. built: the
    seeds of all runs from the same commits.
    """
    least, most = min(seeds, default=0), max(seeds, default=0)
    between = range(least, most) if most - least < 2 * len(seeds) else ()
    missing = sorted({*between, *built} - {*seeds})
    words = [f"{seed} (built from the same commit)" if seed in built else f"{seed}" for seed in missing]
    return [f"Seeds that are not shown: {', '.join(words)}."] if words else []
