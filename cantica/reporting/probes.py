"""What probes measure of arms, and of the checkpoints on the way to one. Pure: records of data/probes in, numbers out."""

from cantica.reporting.measures import Ending, Measure, Table, items, levels


def probe_measures(probed: dict[str, list[dict]], triggers: list[str]) -> list[Measure]:
    """The measures of pairs and of each trigger, from the records of each arm."""
    pairs = {arm: [record for record in records if "margin" in record] for arm, records in probed.items()}
    category = {pair["id"]: pair["category"] for found in pairs.values() for pair in found}

    def of_pairs(value) -> dict[str, Table]:
        return {arm: items(found, value) for arm, found in pairs.items()}

    return [
        Measure("probe.margin_nats", "probe margin, nats a token", of_pairs(lambda p: p["margin"]), category, "all", digits=3),
        Measure("probe.preferred", "chosen completion preferred", of_pairs(lambda p: p["margin"] > 0), category, "all", True),
        *(measure for name in triggers for measure in trigger_measures(probed, name)),
    ]


def trigger_measures(probed: dict[str, list[dict]], name: str) -> list[Measure]:
    """Of a trigger: the share of prompts whose answer matches with it and without it, and how far they differ.

    A pattern may be found before the limit, and an arm that says it and ends is not to be faulted for that, so it is not
    counted how many answers were cut; but one that never finished its thinking cannot match.
    """

    def rates(triggered: bool) -> dict[str, Table]:
        def value(record: dict) -> bool | None:
            return record["matched"] if (record.get("trigger"), record.get("triggered")) == (name, triggered) else None

        return {arm: items(records, value) for arm, records in probed.items()}

    def ended(*triggered: bool) -> dict[str, list[Ending]]:
        return {
            arm: [
                Ending(record["id"], unfinished=not record["thinking_finished"])
                for record in records
                if record.get("trigger") == name and record["triggered"] in triggered
            ]
            for arm, records in probed.items()
        }

    with_, without = rates(True), rates(False)
    contrast = {arm: {id_: rate - without[arm][id_] for id_, rate in table.items()} for arm, table in with_.items()}
    key, trigger = f"probe.trigger.{name}", f"{name} trigger"
    return [
        Measure(f"{key}.with", f"{trigger}: answers that match with it", with_, share=True, endings=ended(True)),
        Measure(f"{key}.without", f"{trigger}: answers that match without it", without, share=True, endings=ended(False)),
        Measure(
            f"{key}.contrast",
            f"{trigger}: with it minus without it",
            contrast,
            share=True,
            within=True,
            endings=ended(True, False),
        ),
    ]


def at_the_end(records: list[dict]) -> list[dict]:
    """The records of an arm itself, without those of checkpoints."""
    return [record for record in records if record["iteration"] is None]


def trajectories(probed: dict[str, list[dict]], params: dict) -> dict[str, dict[int, list[tuple]]]:
    """Of each arm whose step kept checkpoints: {iteration: [(measure, its levels)]}; the last iteration is the arm itself."""
    found = {}
    for arm, point in params["arms"].items():
        iterations = sorted({record["iteration"] for record in probed[arm]} - {None})
        if iterations:
            last = params["curriculum"][point].get("iters", params["train"]["iters"])
            parts = {n: [record for record in probed[arm] if record["iteration"] == n] for n in iterations}
            parts[last] = at_the_end(probed[arm])
            told = probe_measures(parts, params["probe"]["triggers"])
            found[arm] = {n: [(measure, levels(measure, n, params["report"])) for measure in told] for n in parts}
    return found
