"""Read the records that reports are made from. Earlier stages wrote them under data/."""

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

Responses = dict[str, list[Response]]  # by arm
Judgements = dict[str, list[Judgement]]  # by arm
Probes = list[PairProbe | TriggerProbe]  # those of one arm and its checkpoints
Verdicts = dict[str, list[ModelVerdict] | list[PairwiseVerdict]]  # by judge
LossRow = dict[str, list[ExampleLoss]]  # by category


class Records(TypedDict):
    """All records of a build, by arm unless a comment gives another key."""

    responses: Responses
    judgements: Judgements
    verdicts: Verdicts  # by judge
    capability: dict[str, list[CapabilityScore]]
    probes: dict[str, Probes]
    losses: dict[str, LossRow]  # by point
    training: dict[str, TrainingRecord]  # by step


def read_records(data: Path, params: dict[str, Any]) -> Records:
    """Return the records of the arms, judges and steps in params. Other files are not read, so leftovers change nothing."""
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
