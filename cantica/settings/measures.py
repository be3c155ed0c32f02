"""Every measure that a build will have, from params and the texts in prompts/. Pure.

A measure is named by its path under an arm in reports/details.json; for a group of items, the group is the end of the path.
With these paths, claims can be checked before anything is built.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Literal

from cantica.settings.arms import all_arms, with_losses
from cantica.settings.tree import path_to

Unit = Literal["share", "nats per token", "points", "iterations"]
ACCURACIES = ("multiple_choice", "instructions", "arithmetic")
PREFERENCES = ("win_rate", "won", "tied", "lost", "inconsistent")


@dataclass(frozen=True)
class Texts:
    """What the texts in prompts/ say about measures.

    groups: {kind of evaluation prompt that is asked: its groups}. criteria: {kind: the number of criteria in the rules}. flags:
    those of the rules. rubrics: {rubric: {kind: its number of criteria}}. pairs: the categories that have probe pairs.
    behaviours: {behaviour in probe.behaviours: {path of a measure: (whether it is a share, whether it is a difference)}}.
    """

    groups: dict[str, list[str]]
    criteria: dict[str, int]
    flags: list[str]
    rubrics: dict[str, dict[str, int]]
    pairs: list[str]
    behaviours: dict[str, dict[str, tuple[bool, bool]]]


def texts_of(
    params: dict[str, Any],
    prompts: Iterable[Mapping[str, Any]],
    rules: Mapping[str, Any],
    pairs: Iterable[Mapping[str, Any]],
    behaviours: dict[str, dict[str, tuple[bool, bool]]],
    rubrics: dict[str, dict[str, int]] | None = None,
) -> Texts:
    """Return what texts say about measures. prompts, rules, pairs: as `judging` and `probes` load them."""
    groups: dict[str, list[str]] = {}
    for kind, group in dict.fromkeys((prompt["kind"], prompt["group"]) for prompt in prompts):
        if kind in params["held_out"]:
            groups.setdefault(kind, []).append(group)
    criteria = {kind: len(found) for kind, found in rules["kinds"].items()}
    probed = list(dict.fromkeys(pair["category"] for pair in pairs))
    return Texts(groups, criteria, list(rules["flags"]), rubrics or {}, probed, behaviours)


@dataclass(frozen=True)
class Known:
    """A measure, before it has values.

    unit: of its values. least, greatest: the limits of a value. arms: those that have it. within: whether its values are
    differences within an arm. curve: whether kept checkpoints have it too.
    """

    path: str
    unit: Unit
    least: float
    greatest: float
    arms: list[str]
    within: bool = False
    curve: bool = False


def known_measures(params: dict[str, Any], texts: Texts) -> dict[str, Known]:
    """Return {path: measure} for everything that a claim may be about."""
    found = (_losses(params), _probes(params, texts), _capability(params), _scores(params, texts), _preferences(params, texts))
    return {known.path: known for part in found for known in part}


def _grouped(known: Known, groups: Iterable[str], whole: str = "") -> Iterator[Known]:
    """Yield a measure for all items, and for each group. whole: the name of all items, if they have one."""
    yield replace(known, path=f"{known.path}.{whole}") if whole else known
    yield from (replace(known, path=f"{known.path}.{group}") for group in groups)


def _losses(params: dict[str, Any]) -> Iterator[Known]:
    """Yield validation loss, and forgetting and backward transfer of what was learnt before the last step of an arm."""
    of_every_point, in_full = params["measure"]["examples"], params["measure"]["in_full"]
    points, curriculum = with_losses(params), params["curriculum"]
    measured = [name for name, category in params["categories"].items() if category["valid"]]
    arms = [arm for arm, point in points.items() if of_every_point or point in in_full]
    if measured and arms:
        yield from _grouped(Known("loss_nats", "nats per token", 0, inf, arms), measured)
    if not of_every_point:
        return
    before_last = {arm: {curriculum[step]["data"] for step in path_to(point, curriculum)[:-1]} for arm, point in points.items()}
    learnt = {arm: [name for name in measured if f"train/{name}" in files] for arm, files in before_last.items()}
    for measure in ("forgetting_nats", "backward_transfer_nats"):
        for name in ("", *measured):
            arms = [arm for arm, names in learnt.items() if (name in names if name else names)]
            if arms:
                path = f"{measure}.{name}" if name else measure
                yield Known(path, "nats per token", -inf, inf, arms, within=True)


def _probes(params: dict[str, Any], texts: Texts) -> Iterator[Known]:
    arms = list(params["arms"])
    pairs = [name for name in params["categories"] if name in texts.pairs]
    if pairs:
        yield from _grouped(Known("probe.margin_nats", "nats per token", -inf, inf, arms, True, True), pairs, "all")
        yield from _grouped(Known("probe.preferred", "share", 0, 1, arms, curve=True), pairs, "all")
    for name, paths in texts.behaviours.items():
        for path, (share, within) in paths.items():
            unit: Unit = "share" if share else "nats per token"
            least, greatest = (0.0, 1.0) if share else (-inf, 0.0)
            if within:
                least, greatest = least - greatest, greatest - least
            yield Known(f"behaviours.{name}.{path}", unit, least, greatest, arms, within, True)


def _capability(params: dict[str, Any]) -> Iterator[Known]:
    if params["capability"]["items"]:
        arms = list(params["arms"])
        yield from (Known(f"capability.{kind}", "share", 0, 1, arms) for kind in ACCURACIES)
        yield Known("capability.prose_nats", "nats per token", -inf, 0, arms)


def _scores(params: dict[str, Any], texts: Texts) -> Iterator[Known]:
    """Yield the scores of the rules and of models as judges, refusals and flags."""
    arms = all_arms(params)
    for name, judge in params["judges"].items():
        if judge["kind"] == "model":
            criteria = texts.rubrics.get(judge["rubric"], {})
            for kind, groups in texts.groups.items():
                known = Known(f"verdict.{name}.{kind}", "points", 0, criteria.get(kind, inf), arms)
                yield from _grouped(known, groups)
    for kind, groups in texts.groups.items():
        yield from _grouped(Known(f"judge.{kind}", "points", 0, texts.criteria.get(kind, inf), arms), groups)
    if texts.groups:
        yield Known("refusals", "share", 0, 1, arms)
        yield from _grouped(Known("flags", "share", 0, 1, arms), texts.flags, "answers")


def _preferences(params: dict[str, Any], texts: Texts) -> Iterator[Known]:
    """Yield how often each pairwise judge prefers an arm to an earlier one."""
    arms = all_arms(params)
    for place, first in enumerate(arms[:-1]):
        for name, judge in params["judges"].items():
            if judge["kind"] == "pairwise" and texts.groups:
                for measure in PREFERENCES:
                    known = Known(f"against_{first}.verdict.{name}.{measure}", "share", 0, 1, arms[place + 1 :])
                    yield from _grouped(known, texts.groups if measure == "win_rate" else ())
