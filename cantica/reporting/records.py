"""Read the records that reports are made from. Earlier stages wrote them under data/."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, cast

from cantica.core.documents import read_json, read_jsonl
from cantica.core.records import (
    BehaviourProbe,
    CapabilityScore,
    ExampleLoss,
    Judgement,
    ModelVerdict,
    PairProbe,
    PairwiseVerdict,
    Response,
    SampleKey,
    TrainingRecord,
)
from cantica.probes.behaviours import Behaviour
from cantica.settings.arms import all_arms

Responses = dict[str, list[Response]]  # by arm
Judgements = dict[str, list[Judgement]]  # by arm
Probes = list[PairProbe | BehaviourProbe]  # those of one arm and its checkpoints
Verdicts = dict[str, list[ModelVerdict] | list[PairwiseVerdict]]  # by judge
LossRow = dict[str, list[ExampleLoss]]  # by category


class Records(TypedDict):
    """All records of a build, by arm unless a comment gives another key. Only points have capability and probes."""

    responses: Responses
    judgements: Judgements
    verdicts: Verdicts  # by judge
    capability: dict[str, list[CapabilityScore]]
    behaviours: dict[str, Behaviour]  # by name: those that probes measured
    probes: dict[str, Probes]
    losses: dict[str, LossRow]  # by point
    training: dict[str, TrainingRecord]  # by step


def by_sample(records: Mapping[str, Sequence[SampleKey]]) -> dict[tuple[str, str, int], SampleKey]:
    """Return {(arm, id of the prompt, number of the sample): record} for responses or judgements by arm."""
    return {(arm, record["id"], record["sample"]): record for arm, found in records.items() for record in found}


def samples_of(records: Mapping[str, Sequence[SampleKey]]) -> dict[str, list[int]]:
    """Return {id of a prompt: the numbers of the samples that any arm has of it}."""
    found: dict[str, set[int]] = {}
    for _, id_, sample in by_sample(records):
        found.setdefault(id_, set()).add(sample)
    return {id_: sorted(samples) for id_, samples in found.items()}


def read_records(data: Path, params: dict[str, Any]) -> Records:
    """Return the records of the arms, judges and steps in params. Other files are not read, so leftovers change nothing."""
    arms, points, judges, steps = all_arms(params), params["arms"], params["judges"], params["curriculum"]
    found = {
        "responses": {arm: read_jsonl(data / "responses" / f"{arm}.jsonl") for arm in arms},
        "judgements": {arm: read_jsonl(data / "judgements" / f"{arm}.jsonl") for arm in arms},
        "verdicts": {judge: read_jsonl(data / "judgements/models" / f"{judge}.jsonl") for judge in judges},
        "capability": {arm: read_jsonl(data / "capability" / f"{arm}.jsonl") for arm in points},
        "behaviours": read_json(data / "behaviours.json"),
        "probes": {arm: read_jsonl(data / "probes" / f"{arm}.jsonl") for arm in points},
        "losses": {point: _losses(data / "losses", point, params["measure"]["in_full"]) for point in ["base", *steps]},
        "training": {step: read_json(data / "training" / f"{step}.json") for step in steps},
    }
    return cast(Records, found)


def _losses(folder: Path, point: str, in_full: Sequence[str]) -> LossRow:
    """Return the losses of a point: on the first validation examples of each category, and on the rest if it has them too."""
    row = read_json(folder / f"{point}.json")
    rest = read_json(folder / "rest" / f"{point}.json") if point in in_full else {}
    return {category: examples + rest.get(category, []) for category, examples in row.items()}
