"""What a run costs: the time of its stages where they ran, and the tokens that it trained on and sampled.

Both are taken when a run is cited: times from the timings of this machine, which are outside the graph, and tokens from records
of the build in DVC's cache, by the hashes in its dvc.lock.
"""

import json
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from cantica.commands.dvc.records import Lock, outputs
from cantica.commands.experiments.cited import Cited
from cantica.commands.text import counted, duration
from cantica.commands.work import examples_in
from cantica.core.params import FILE
from cantica.probes.behaviours import MINUS
from cantica.settings.tree_faults import SAMPLES


def _trained_tokens(record: dict[str, Any]) -> int | None:
    return record["curve"][-1]["trained_tokens"] if record["curve"] else None


# {what is counted: (the kinds of stages that write a record with it, where that lies, a function that gives it)}
TOKENS: dict[str, tuple[tuple[str, ...], str, Callable[[dict[str, Any]], int | None]]] = {
    "tokens_trained": (("train",), "data/training/", _trained_tokens),
    "tokens_sampled": (("sample", "sample_server"), "data/sampling/", lambda record: record["tokens"]),
}


def cost_of(lock: Lock, stages: Collection[str], timings: list[dict[str, Any]], cache: Path) -> dict[str, int]:
    """The cost of a run, as run.json has it; keys about which nothing is known here are left out.

    seconds: the sum over the run's stages of the last time that each ran here with the same params, so of a build from
    nothing, whatever was restored. cpu_seconds: the processor time of the same, which other work of the machine hardly
    changes. unknown: the number of stages that never ran. tokens_trained: those of all steps that had a loss.
    tokens_sampled: of all samples.
    """
    entries = {stage: lock[stage] for stage in sorted(stages) if stage in lock}
    took = [_last(stage, entry.get("params", {}), timings) for stage, entry in entries.items()]
    known = [record for record in took if record is not None]
    cost = {"stages": len(took), "unknown": len(took) - len(known)}
    found = {"seconds": round(sum(record["seconds"] for record in known)), **cost} if known else {}
    if known and all("cpu_seconds" in record for record in known):
        found["cpu_seconds"] = round(sum(record["cpu_seconds"] for record in known))
    for name, (kinds, folder, tokens_of) in TOKENS.items():
        writers = [entry for stage, entry in entries.items() if stage.partition("@")[0] in kinds]
        made = [md5 for entry in writers for path, md5 in outputs(entry).items() if path.startswith(folder)]
        records = [cache / "files/md5" / md5[:2] / md5[2:] for md5 in made]
        if records and all(record.exists() for record in records):
            tokens = [tokens_of(json.loads(record.read_text(encoding="utf-8"))) for record in records]
            found |= {name: round(sum(filter(None, tokens)))} if None not in tokens else {}
    return found


def _last(stage: str, params: dict[str, dict[str, Any]], timings: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The timing of a stage from the last time that it ran here with these params; None if it never did."""
    own = params.get(str(FILE), {})
    return next((record for record in reversed(timings) if record["stage"] == stage and record.get("params") == own), None)


# ---- in words


def costs(runs: list[Cited]) -> list[str]:
    """What a run cost, a sentence a kind: trained, sampled, measured, time. The first run stands for all but the time."""
    first = runs[0]
    return [*_trained(first), *_sampled(first), *_measured(first.details), *_time(runs)]


def _trained(run: Cited) -> Iterator[str]:
    steps = [run.params["train"] | own for own in run.params["curriculum"].values()]
    iterations, examples = sum(own["iters"] for own in steps), sum(own["iters"] * own["batch_size"] for own in steps)
    if steps:
        text = f"{counted(len(steps), 'training step')}, {_number(iterations, 'iteration')}, {_number(examples, 'example')}"
        yield f"{text} with repeats{_tokens(run, 'tokens_trained', ' with a loss')}"


def _sampled(run: Cited) -> Iterator[str]:
    asked = [own["samples"] * examples_in(own["prompts"], run.params) for kind in SAMPLES for own in run.params[kind].values()]
    if asked:
        yield f"at most {_number(round(sum(asked)), 'sampled answer')}{_tokens(run, 'tokens_sampled')}"


def _measured(details: dict[str, Any]) -> Iterator[str]:
    """Behaviours, each item once for every condition, arm and checkpoint; and answers to evaluation prompts."""
    items = checkpoints = 0
    for arm in details.values():
        kept = arm.get("checkpoints", {}).values()
        checkpoints += len(kept)
        items += sum(_asked(point.get("behaviours", {})) for point in (arm, *kept))
    if items:
        at = f" and {counted(checkpoints, 'kept checkpoint')}" if checkpoints else ""
        yield f"{_number(items, 'measurement')} of behaviours, over {counted(len(details), 'arm')}{at}"
    answers = [arm["answers"] for arm in details.values() if "answers" in arm]
    if answers:
        known = all("mean_tokens" in own for own in answers)
        tokens = round(sum(own["n"] * own.get("mean_tokens", 0) for own in answers))
        text = _number(sum(own["n"] for own in answers), "answer")
        yield f"{text} to evaluation prompts" + (f", {tokens:,} tokens" if known else "")


def _asked(behaviours: dict[str, Any]) -> int:
    """The number of items of behaviours, each under every condition."""
    return sum(
        max(measure[condition]["n"] for measure in measures.values() if condition in measure)
        for measures in behaviours.values()
        for condition in dict.fromkeys(name for measure in measures.values() for name in measure if MINUS not in name)
    )


def _time(runs: list[Cited]) -> Iterator[str]:
    found = [run.about["cost"] for run in runs if "seconds" in run.about.get("cost", {})]
    if found:
        unknown = max(own["unknown"] for own in found)
        without = f", without {counted(unknown, 'stage')} that never ran there" if unknown else ""
        stages = counted(found[0]["stages"], "stage")
        cpu = [own["cpu_seconds"] for own in found if "cpu_seconds" in own]
        of_it = f", {_range(cpu)} of processor time" if len(cpu) == len(found) else ""
        took = _range([own["seconds"] for own in found])
        yield f"{took} a seed to build it from nothing{of_it}: the sum of its {stages} on the machine that cited it{without}"


def _range(seconds: list[float]) -> str:
    least, most = duration(min(seconds)), duration(max(seconds))
    return least if least == most else f"{least} to {most}"


def _number(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _tokens(run: Cited, kind: str, what: str = "") -> str:
    tokens = run.about.get("cost", {}).get(kind)
    return "" if tokens is None else f", {tokens:,} tokens{what}"
