"""All measures and rows of a build, and the contents of reports/metrics.json and reports/details.json. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from cantica.core.records import Response
from cantica.judging.rules import Rules
from cantica.reporting import judges
from cantica.reporting.capability import capability_measures
from cantica.reporting.endings import COUNTED
from cantica.reporting.inference import Estimate, Resampling
from cantica.reporting.losses import chain_measures, in_common, loss_measure
from cantica.reporting.measures import Measure
from cantica.reporting.nested import nest
from cantica.reporting.probes import at_the_end, checkpoint_measures, probe_measures
from cantica.reporting.records import LossRow, Records
from cantica.reporting.rows import Row, Rows, differences, levels, rounded
from cantica.settings.arms import all_arms, pairs, with_losses
from cantica.settings.tree import ROOT, path_to

CHAIN = ("forgetting_nats", "backward_transfer_nats")
# The keys of an estimate that are written to metrics.json, in this order.
HEADLINE = (
    *("mean", "share", "difference", "low", "high", "p", "n", "failed", *COUNTED, "unequal", "opposed"),
    *("hit_length_limit", "thinking_unfinished", "mean_tokens"),
)
# In details.json, the estimate of these measures for all items has a name of its own, next to the names of the groups.
WHOLE = {"probe.margin_nats": "all", "probe.preferred": "all", "flags": "answers"}


class Answers(Estimate, total=False):
    """Counts of an arm's responses, and their mean length in tokens."""

    hit_length_limit: int
    thinking_unfinished: int
    mean_tokens: float


def all_measures(records: Records, params: dict[str, Any], rules: Rules) -> list[Measure]:
    """Return every measure of a build that has values, in the order of the report. The measures of the rules come last.

    A measure of a judge is there even if all its verdicts are null, so that these are counted.
    """
    probes = {arm: at_the_end(found) for arm, found in records["probes"].items()}
    responses = records["responses"]
    measures = [
        loss_measure(records["losses"], with_losses(params)),
        *probe_measures(probes, records["behaviours"]),
        *capability_measures(records["capability"]),
    ]
    return [
        *(measure for measure in measures if any(measure.tables.values())),
        *judges.model_measures(judges.single(records["verdicts"], params["judges"]), responses),
        *judges.rule_measures(records["judgements"], responses, rules["kinds"]),
    ]


def all_rows(measures: list[Measure], records: Records, params: dict[str, Any], rules: Rules) -> Rows:
    """Return every row of a build: levels of each arm, differences between pairs of arms, preferences over each earlier arm."""
    resampling, responses = params["report"], records["responses"]
    arms, compared = all_arms(params), pairs(params)
    single = judges.single(records["verdicts"], params["judges"])
    pairwise = judges.pairwise(records["verdicts"], params["judges"])
    chains = chain_measures(records["losses"], with_losses(params), params["curriculum"])
    rows: list[Row] = []
    for n, arm in enumerate(arms):
        rows += [row for measure in measures if arm in measure.tables for row in levels(measure, arm, resampling)]
        rows += judges.failed_rows(single, arm)
        rows += judges.flag_rows(records["judgements"], arm, list(rules["flags"]))
        rows += [Row(arm, "answers", count_answers(responses[arm]))] if responses[arm] else []
        rows += [row for chain in chains if arm in chain.tables for row in chain_rows(chain, arm, resampling)]
        for against in [other for one, other in compared if one == arm]:
            both = [measure for measure in measures if {arm, against} <= measure.tables.keys()]
            rows += [row for measure in both for row in differences(measure, against, arm, resampling)]
        for earlier in arms[:n]:
            rows += judges.preference_rows(pairwise, earlier, arm, responses, resampling)
    return Rows(rounded(rows))


def chain_rows(measure: Measure, arm: str, resampling: Resampling) -> list[Row]:
    """Return a row for the mean over categories, then a row for each category."""
    values = measure.tables[arm].items()
    return [
        *levels(measure, arm, resampling),
        *(Row(arm, measure.key, {"mean": value, "n": 1}, category) for category, value in values),
    ]


def count_answers(responses: list[Response]) -> Answers:
    """Return how many responses there are, how many are truncated or did not finish thinking, and their mean length.

    A key is left out if no response has a value for it.
    """
    ended = [r["ended"] for r in responses if r["ended"] is not None]
    tokens = [r["tokens"] for r in responses if r["tokens"] is not None]
    counts: Answers = {"n": len(responses)}
    if ended:
        counts["hit_length_limit"] = ended.count(False)
    counts["thinking_unfinished"] = sum(not r["thinking_finished"] for r in responses)
    if tokens:
        counts["mean_tokens"] = fmean(tokens)
    return counts


def all_checkpoint_rows(records: Records, params: dict[str, Any]) -> list[Row]:
    """Return the rows of the checkpoints of every arm that has some."""
    return checkpoint_rows(checkpoint_measures(records["probes"], records["behaviours"], params), params["report"])


def checkpoint_rows(checkpoints: dict[str, list[Measure]], resampling: Resampling) -> list[Row]:
    """Return the levels of each probe measure at each checkpoint of an arm, under `checkpoints.<iteration>`.

    checkpoints: {arm: its measures}, as `checkpoint_measures` returns them.
    """
    return rounded(
        replace(row, arm=arm, measure=f"checkpoints.{row.arm}.{row.measure}", group=row.group or WHOLE.get(row.measure, ""))
        for arm, measures in checkpoints.items()
        for measure in measures
        for iteration in measure.tables
        for row in levels(measure, iteration, resampling)
    )


def step_rows(losses: dict[str, LossRow], params: dict[str, Any]) -> list[Row]:
    """Return the losses after each step on the way to an arm, under `steps.<point>`; those of base come first.

    They are of the examples that every point is measured on, so of fewer than the arm's own loss, if that is measured in full.
    An arm that is base itself has none.
    """
    common = in_common(losses)
    rows: list[Row] = []
    for arm, point in with_losses(params).items():
        chain = path_to(point, params["curriculum"])
        for step in [ROOT, *chain] if chain else []:
            groups = {category: [e["loss"] for e in found] for category, found in common[step].items() if found}
            whole = [loss for found in groups.values() for loss in found]
            rows += [
                Row(arm, f"steps.{step}.loss_nats", {"mean": fmean(values), "n": len(values)}, group)
                for group, values in ({"": whole} | groups if whole else {}).items()
            ]
    return rounded(rows)


def further_rows(records: Records, params: dict[str, Any]) -> list[Row]:
    """Return the rows that only details.json has: at checkpoints, and after each step on the way to an arm."""
    return all_checkpoint_rows(records, params) + step_rows(records["losses"], params)


def details(rows: Rows, further: Sequence[Row] = ()) -> dict[str, Any]:
    """Return the content of `reports/details.json`: every row, nested by arm, `against_<arm>` if any, measure and group.

    further: those of `further_rows`, which only this file has.
    """
    parts: list[tuple[str, Any]] = []
    for row in (*rows.rows, *further):
        path = _path(row.arm, row.measure, row.group or WHOLE.get(row.measure, ""), row.against)
        parts.append((path, row.estimate["mean"] if row.group and row.measure in CHAIN else row.estimate))
    return nest(parts)


def headline(rows: Rows) -> dict[str, Any]:
    """Return the content of `reports/metrics.json`: estimates for all items, and only the mean or share of each group.

    It has no effect sizes, and no groups for differences and chains.
    """
    parts: list[tuple[str, Any]] = []
    for (arm, measure, group, against), estimate in rows.estimates.items():
        path = _path(arm, measure, group, against)
        if not group:
            parts.append((path, {key: estimate[key] for key in HEADLINE if key in estimate}))  # type: ignore[literal-required]
        elif not against and measure not in CHAIN:
            parts += [(path, estimate[key]) for key in ("mean", "share") if key in estimate]
    return nest(parts)


def _path(arm: str, measure: str, group: str, against: str) -> str:
    return ".".join(name for name in (arm, against and f"against_{against}", measure, group) if name)
