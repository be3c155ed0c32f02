"""Measures of probes: pairs of completions, and triggers. Pure.

A pair is a prompt with two completions, chosen and rejected; its margin is the difference of their log-probabilities per token.
A trigger is a text that is added to everyday prompts. It has a pattern, which is found in the answers if the trigger works.
"""

from collections.abc import Callable
from typing import Any, cast

from cantica.core.records import PairProbe, TriggerProbe
from cantica.reporting.endings import Ending
from cantica.reporting.inference import Estimate
from cantica.reporting.measures import Measure, Table, items
from cantica.reporting.records import Probes
from cantica.reporting.rows import levels


def probe_measures(probes: dict[str, Probes], triggers: list[str]) -> list[Measure]:
    """Return the measures of pairs and of each trigger. probes: those of each arm itself, without its checkpoints."""
    pairs = {arm: [cast(PairProbe, probe) for probe in found if "margin" in probe] for arm, found in probes.items()}
    category = {pair["id"]: pair["category"] for found in pairs.values() for pair in found}

    def of_pairs(value: Callable[[PairProbe], float]) -> dict[str, Table]:
        return {arm: items(found, value) for arm, found in pairs.items()}

    title = "probe margin (chosen − rejected), nats per token"
    return [
        Measure("probe.margin_nats", title, of_pairs(lambda p: p["margin"]), category, digits=3),
        Measure("probe.preferred", "chosen completion preferred", of_pairs(lambda p: p["margin"] > 0), category, share=True),
        *(measure for name in triggers for measure in trigger_measures(probes, name)),
    ]


def trigger_measures(probes: dict[str, Probes], name: str) -> list[Measure]:
    """Return the shares of prompts whose answer matches, with the trigger and without it, and their difference.

    Truncated answers are not counted as such, because the pattern may have matched before the limit. Answers whose thinking did
    not end cannot match, and are counted as unfinished.
    """
    own = {arm: [cast(TriggerProbe, probe) for probe in found if probe.get("trigger") == name] for arm, found in probes.items()}

    def rates(triggered: bool) -> dict[str, Table]:
        return {
            arm: items((p for p in found if p["triggered"] == triggered), lambda p: p["matched"]) for arm, found in own.items()
        }

    def ended(*triggered: bool) -> dict[str, list[Ending]]:
        return {
            arm: [Ending(p["id"], unfinished=not p["thinking_finished"]) for p in found if p["triggered"] in triggered]
            for arm, found in own.items()
        }

    with_, without = rates(True), rates(False)
    contrast = {arm: {id_: rate - without[arm][id_] for id_, rate in table.items()} for arm, table in with_.items()}
    key, title = f"probe.trigger.{name}", f"{name} trigger"
    return [
        Measure(f"{key}.with", f"{title} present: matching answers", with_, share=True, endings=ended(True)),
        Measure(f"{key}.without", f"{title} absent: matching answers", without, share=True, endings=ended(False)),
        Measure(f"{key}.contrast", f"{title}: present − absent", contrast, share=True, within=True, endings=ended(True, False)),
    ]


def at_the_end(probes: Probes) -> Probes:
    """Return the probes of an arm itself, without those of its checkpoints."""
    return [probe for probe in probes if probe["iteration"] is None]


Trajectory = dict[int, list[tuple[Measure, Estimate]]]  # {iteration: each measure with its level}


def trajectories(probes: dict[str, Probes], params: dict[str, Any]) -> dict[str, Trajectory]:
    """Return the levels of all probe measures at each checkpoint, for each arm with checkpoints.

    The last iteration is the arm itself.
    """
    found = {}
    for arm, own in params["arms"].items():
        iterations = sorted({probe["iteration"] for probe in probes[arm] if probe["iteration"] is not None})
        if iterations:
            last = params["curriculum"][own["point"]].get("iters", params["train"]["iters"])
            parts = {str(n): [probe for probe in probes[arm] if probe["iteration"] == n] for n in iterations}
            parts[str(last)] = at_the_end(probes[arm])
            measures = [m for m in probe_measures(parts, params["probe"]["triggers"]) if any(m.tables.values())]
            found[arm] = {int(n): [(m, levels(m, n, params["report"])[0].estimate) for m in measures] for n in parts}
    return found
