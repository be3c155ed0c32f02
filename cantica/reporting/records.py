"""The records that a report is made from."""

from pathlib import Path

from cantica.core.documents import read_json, read_jsonl


def read_records(data: Path, params: dict) -> dict[str, dict]:
    """What the stages before wrote, by arm or by step. Names come from params, so a leftover file changes nothing."""
    points = ["base", *params["curriculum"]]
    return {
        "responses": {arm: read_jsonl(data / "responses" / f"{arm}.jsonl") for arm in params["arms"]},
        "judgements": {arm: read_jsonl(data / "judgements" / f"{arm}.jsonl") for arm in params["arms"]},
        "verdicts": {judge: read_jsonl(data / "judgements/models" / f"{judge}.jsonl") for judge in params["judges"]},
        "capability": {arm: read_jsonl(data / "capability" / f"{arm}.jsonl") for arm in params["arms"]},
        "probes": {arm: read_jsonl(data / "probes" / f"{arm}.jsonl") for arm in params["arms"]},
        "losses": {point: read_json(data / "losses" / f"{point}.json") for point in points},
        "training": {step: read_json(data / "training" / f"{step}.json") for step in params["curriculum"]},
    }
