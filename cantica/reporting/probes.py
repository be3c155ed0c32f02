"""Measures of probes: pairs of completions, and behaviours. Pure.

A pair is a prompt with two completions, chosen and rejected; its margin is the difference of their log-probabilities per token.
A behaviour has items, which are asked under several conditions, and measures of what the model does with each.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any, cast

from cantica.core.records import BehaviourProbe, PairProbe
from cantica.probes.behaviours import Behaviour, contrasts, is_share, needs_answer
from cantica.reporting.endings import Ending
from cantica.reporting.inference import Estimate
from cantica.reporting.measures import Measure, Table, items
from cantica.reporting.records import Probes
from cantica.reporting.rows import levels


def probe_measures(probes: dict[str, Probes], behaviours: dict[str, Behaviour]) -> list[Measure]:
    """Return the measures of pairs and of each behaviour. probes: those of each arm itself, without its checkpoints."""
    pairs = {arm: [cast(PairProbe, probe) for probe in found if "margin" in probe] for arm, found in probes.items()}
    category = {pair["id"]: pair["category"] for found in pairs.values() for pair in found}

    def of_pairs(value: Callable[[PairProbe], float]) -> dict[str, Table]:
        return {arm: items(found, value) for arm, found in pairs.items()}

    title = "probe margin (chosen − rejected), nats per token"
    return [
        Measure("probe.margin_nats", title, of_pairs(lambda p: p["margin"]), category, digits=3),
        Measure("probe.preferred", "chosen completion preferred", of_pairs(lambda p: p["margin"] > 0), category, share=True),
        *(found for name, behaviour in behaviours.items() for found in behaviour_measures(probes, name, behaviour)),
    ]


def behaviour_measures(probes: dict[str, Probes], name: str, behaviour: Behaviour) -> list[Measure]:
    """Return each measure of a behaviour: its levels under each condition, then the differences between each two conditions.

    A difference is that of a later condition from an earlier one, for the same items.
    """
    own = {
        arm: [cast(BehaviourProbe, probe) for probe in found if probe.get("behaviour") == name] for arm, found in probes.items()
    }
    return [found for measure in behaviour["measures"] for found in _under_conditions(own, name, behaviour, measure)]


def _under_conditions(
    probes: dict[str, list[BehaviourProbe]], name: str, behaviour: Behaviour, measure: str
) -> Iterator[Measure]:
    kind = behaviour["measures"][measure]
    unit, digits = ("", 2) if is_share(kind) else (", nats per token", 3)

    def measured(
        key: str, words: str, tables: dict[str, Table], asked: Collection[str], own: tuple[Measure, ...] = ()
    ) -> Measure:
        return Measure(
            f"behaviours.{name}.{measure}.{key}",
            f"{name}: {measure} ({words}){unit}",
            tables,
            share=is_share(kind),
            within=bool(own),
            conditions=own,
            digits=digits,
            endings=_endings(probes, asked) if needs_answer(kind) else {},
        )

    under = {name: measured(name, name, _values(probes, measure, name), [name]) for name in behaviour["conditions"]}
    yield from under.values()
    for key, (later, earlier) in contrasts(behaviour).items():
        tables = {arm: _minus(table, under[earlier].tables[arm]) for arm, table in under[later].tables.items()}
        yield measured(key, f"{later} − {earlier}", tables, [later, earlier], (under[later], under[earlier]))


def _values(probes: dict[str, list[BehaviourProbe]], measure: str, condition: str) -> dict[str, Table]:
    return {
        arm: items((probe for probe in found if probe["condition"] == condition), lambda probe: probe["values"][measure])
        for arm, found in probes.items()
    }


def _minus(later: Table, earlier: Table) -> Table:
    return {item: value - earlier[item] for item, value in later.items()}


def _endings(probes: dict[str, list[BehaviourProbe]], conditions: Collection[str]) -> dict[str, list[Ending]]:
    """Return which answers did not finish thinking. An item whose answer did not has the value 0.

    Truncated answers are not counted, because what is looked for may come before the limit.
    """
    return {
        arm: [
            Ending(probe["id"], unfinished=not probe["thinking_finished"])
            for probe in found
            if probe["condition"] in conditions
        ]
        for arm, found in probes.items()
    }


def at_the_end(probes: Probes) -> Probes:
    """Return the probes of an arm itself, without those of its checkpoints."""
    return [probe for probe in probes if probe["iteration"] is None]


def checkpoint_measures(
    probes: dict[str, Probes], behaviours: dict[str, Behaviour], params: dict[str, Any]
) -> dict[str, list[Measure]]:
    """Return the measures of each arm with checkpoints. Their tables are by iteration, as text, instead of by arm.

    The last iteration is the arm itself.
    """
    found = {}
    for arm, own in params["arms"].items():
        iterations = sorted({probe["iteration"] for probe in probes[arm] if probe["iteration"] is not None})
        if iterations:
            last = params["curriculum"][own["point"]].get("iters", params["train"]["iters"])
            parts = {str(n): [probe for probe in probes[arm] if probe["iteration"] == n] for n in iterations}
            parts[str(last)] = at_the_end(probes[arm])
            found[arm] = [measure for measure in probe_measures(parts, behaviours) if any(measure.tables.values())]
    return found


Trajectory = dict[int, list[tuple[Measure, Estimate]]]  # {iteration: each measure with its level}


def trajectories(probes: dict[str, Probes], behaviours: dict[str, Behaviour], params: dict[str, Any]) -> dict[str, Trajectory]:
    """Return the levels of all probe measures at each checkpoint, for each arm with checkpoints."""
    return {
        arm: {int(n): [(m, levels(m, n, params["report"])[0].estimate) for m in measures] for n in measures[0].tables}
        for arm, measures in checkpoint_measures(probes, behaviours, params).items()
    }
