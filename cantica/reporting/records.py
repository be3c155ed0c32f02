"""Read the records that reports are made from, as the stages before wrote them under data/."""

from pathlib import Path
from typing import Any, TypedDict, cast

from cantica.core.documents import read_json, read_jsonl
from cantica.core.records import (
    CapabilityScore,
    ExampleLoss,
    Judgement,
    ModelVerdict,
    PairProbe,
    PairwiseVerdict,
    Response,
    TrainingRecord,
    TriggerProbe,
)

Responses = dict[str, list[Response]]  # of each arm
Judgements = dict[str, list[Judgement]]  # of each arm
Probes = list[PairProbe | TriggerProbe]  # of an arm and its checkpoints
Verdicts = dict[str, list[ModelVerdict] | list[PairwiseVerdict]]  # of each judge
LossRow = dict[str, list[ExampleLoss]]  # of each category


class Records(TypedDict):
    """All records of a build, by arm if not said otherwise."""

    responses: Responses
    judgements: Judgements
    verdicts: Verdicts  # of each judge
    capability: dict[str, list[CapabilityScore]]
    probes: dict[str, Probes]
    losses: dict[str, LossRow]  # of each point
    training: dict[str, TrainingRecord]  # of each step


def read_records(data: Path, params: dict[str, Any]) -> Records:
    """Read the records of the arms, judges and steps that params name, so that a leftover file changes nothing."""
    arms, judges, steps = params["arms"], params["judges"], params["curriculum"]
    found = {
        "responses": {arm: read_jsonl(data / "responses" / f"{arm}.jsonl") for arm in arms},
        "judgements": {arm: read_jsonl(data / "judgements" / f"{arm}.jsonl") for arm in arms},
        "verdicts": {judge: read_jsonl(data / "judgements/models" / f"{judge}.jsonl") for judge in judges},
        "capability": {arm: read_jsonl(data / "capability" / f"{arm}.jsonl") for arm in arms},
        "probes": {arm: read_jsonl(data / "probes" / f"{arm}.jsonl") for arm in arms},
        "losses": {point: read_json(data / "losses" / f"{point}.json") for point in ["base", *steps]},
        "training": {step: read_json(data / "training" / f"{step}.json") for step in steps},
    }
    return cast(Records, found)
