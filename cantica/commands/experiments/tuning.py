"""Were the gates and bounds of a run fixed before its first results were known? Read from git, also from a shallow clone.

The commits are those of the first parents, so a branch counts from the moment at which it was merged.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from cantica.commands.comparison.revisions import CLAIMS
from cantica.commands.git import contents, git, must
from cantica.commands.variants.files import FOLDER
from cantica.commands.variants.past import overlaid_at, variant_at
from cantica.core.errors import InputError
from cantica.core.params import FILE

RUNS = Path("docs/experiments/runs")

REFS = ("refs/exps", "refs/heads", "refs/remotes")
KEPT = r"refs/(?:exps/\w\w/\w+|heads/variant|remotes/[^/]+/variant)/"  # what precedes the name of a run
FORMAT = "%Y-%m-%dT%H:%M:%SZ"  # of a date, in UTC: dates are in the order of their text


class Moment(NamedTuple):
    """A commit and a date. Of a run: the commit that it was built from, and the date at which it was there."""

    commit: str
    date: str


class Tuning(NamedTuple):
    """When the gates and bounds of some runs were fixed, and when these runs were first there.

    since: the first commit since which gates and bounds were as in the runs. first: the first known run of the same variant and
    seeds. shallow: whether the history ends early here, so that earlier runs may be unknown.
    """

    since: Moment
    first: Moment
    shallow: bool

    @property
    def honest(self) -> bool:
        """Whether gates and bounds are older than the first known run. A commit that brings both does not show it."""
        return self.since.date < self.first.date


def tuning_of(commit: str, variant: str, seed: str, params: dict[str, Any]) -> Tuning:
    """The tuning of one run. commit: that has its results. variant, seed: of its name; "" if it has none.

    A name that is no variant of the commit, such as that of a branch, counts as none.
    """
    since = claims_since(commit, variant if _is_variant(commit, variant) else "", params["claims"])
    own = Moment(commit, date_of(commit))
    found = _runs(variant, seed) if seed else _builds(commit, params["claims"])
    first = min([*found, own], key=lambda run: run.date)
    return Tuning(since, first, (git("rev-parse", "--is-shallow-repository") or "").strip() == "true")


def together(runs: list[Tuning]) -> Tuning:
    """The tuning of several runs of one variant: the last moment at which claims changed, and the first run."""
    since = max((run.since for run in runs), key=lambda moment: moment.date)
    return Tuning(since, min((run.first for run in runs), key=lambda run: run.date), any(run.shallow for run in runs))


def date_of(commit: str) -> str:
    """The date of a commit."""
    return _date(must("log", "-1", "--format=%ct", commit))


def _date(seconds: str) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime(FORMAT)


# ---- gates and bounds


def claims_since(commit: str, variant: str, claims: dict[str, Any]) -> Moment:
    """The first commit since which the effective claims were those of the run in `commit`, apart from their words."""
    listed = must("log", "--first-parent", "--format=%H %ct", commit, "--", str(FILE), str(FOLDER)).splitlines()
    found = Moment(commit, date_of(commit))
    for other, seconds in map(str.split, listed):
        if other != commit and _claims_at(other, variant) != _rules(claims):
            break
        found = Moment(other, _date(seconds))
    return found


def _is_variant(commit: str, name: str) -> bool:
    with suppress(InputError):
        return all(variant_at(commit, part) for part in name.split("+"))
    return False


@cache
def _claims_at(commit: str, variant: str) -> dict[str, Any] | None:
    """The effective claims of a commit without their words; None if the commit has no such variant."""
    with suppress(InputError):
        return _rules(overlaid_at(commit, variant).get("claims", {}))
    return None


def _rules(claims: dict[str, Any]) -> dict[str, Any]:
    return {name: {key: value for key, value in claim.items() if key != "says"} for name, claim in claims.items()}


# ---- known runs


def _runs(variant: str, seed: str) -> Iterator[Moment]:
    """The experiments of any commit, their branches, and what docs/experiments/runs holds and held."""
    kept = re.compile(f"{KEPT}{re.escape(f'{variant}-s{seed}')}")
    listed = must("for-each-ref", "--format=%(refname) %(committerdate:unix) %(objectname) %(parent)", *REFS)
    for ref, seconds, own, *parents in map(str.split, listed.splitlines()):
        if kept.fullmatch(ref):
            yield Moment(
                parents[0] if parents else own, _date(seconds)
            )  # a shallow clone lacks the parents of its last commits
    path = (RUNS / variant / seed / "run.json").as_posix()
    texts = contents([f"{commit}:./{path}" for commit in (git("log", "--format=%H", "--", path) or "").split()])
    texts += [Path(path).read_bytes()] if Path(path).exists() else []
    for text in texts:
        with suppress(ValueError, KeyError, TypeError):  # removed there, or of another form
            run = json.loads(text)
            yield Moment(run["commit"], run["built"])
            yield Moment(run["first_run"]["commit"], run["first_run"]["date"])


def _builds(commit: str, claims: dict[str, Any]) -> Iterator[Moment]:
    """The commits that wrote numbers of some of the claims, for a commit that is no run of a variant."""
    listed = must("log", "--first-parent", "--format=%H %ct", commit, "--", CLAIMS).splitlines()
    moments = [Moment(other, _date(seconds)) for other, seconds in map(str.split, listed)]
    for moment, text in zip(moments, contents([f"{moment.commit}:./{CLAIMS}" for moment in moments]), strict=True):
        with suppress(ValueError):
            if claims.keys() & json.loads(text).keys():
                yield moment


# ---- in words


def history(tuning: Tuning) -> str:
    """When gates and bounds were fixed, in words, and what follows if that was not before the first run."""
    since, first = tuning.since, tuning.first
    whole = since.date[:10] == first.date[:10]  # on one day the time tells which was earlier
    fixed, ended = (_when(moment.date, whole) for moment in (since, first))
    text = f"Gates and bounds: commit {since.commit[:7]} of {fixed}, {'' if tuning.honest else 'not '}older than the first "
    text += f"known run with these seeds, which ended {ended}."
    if not tuning.honest:
        text += " They may have been set with results in view; seeds that were first run later can confirm a verdict."
    if tuning.shallow:
        text += " The history of the clone was cut off: earlier runs may be unknown."
    return text


def _when(date: str, whole: bool) -> str:
    return f"{date[:10]} {date[11:19]} UTC" if whole else date[:10]
