"""The records that reports are made from, as the stages before wrote them under data/."""

from pathlib import Path
from typing import Any, TypedDict, cast

from cantica.core.documents import read_json, read_jsonl


class Response(TypedDict):
    """An arm's answer to an evaluation prompt: a line of data/responses/<arm>.jsonl.

    ended: the model ended the answer itself, before the token limit. tokens: thinking included.
    """

    id: str
    kind: str
    group: str
    sample: int
    seed: int
    thinking: str
    answer: str
    thinking_finished: bool
    tokens: int
    ended: bool


class Judgement(TypedDict):
    """What the rules say of a response: a line of data/judgements/<arm>.jsonl.

    flags: {flag: the sentence that raised it}. refusal: the words that refuse, or None.
    """

    id: str
    kind: str
    group: str
    sample: int
    score: int
    out_of: int
    criteria: dict[str, Any]
    flags: dict[str, str]
    refusal: str | None


class Verdict(TypedDict, total=False):
    """What a model as judge says of one response, or of two: a line of data/judgements/models/<judge>.jsonl.

    A pairwise judge's verdict has `other`, and its score is 1 where the response of `arm` is better, 0 where that of `other`
    is, 0.5 for a tie. score: None when no reply of the judge was valid. consistent: both orders gave the same outcome.
    """

    arm: str
    other: str
    id: str
    kind: str
    group: str
    sample: int
    score: float | None
    out_of: int
    consistent: bool | None


class Probe(TypedDict, total=False):
    """One probe of an arm, or of a checkpoint on the way to it: a line of data/probes/<arm>.jsonl.

    iteration: of the checkpoint; None for the arm itself. A pair has `category` and `margin`; an answer to a trigger's prompt
    has `trigger`, `triggered` (asked with the trigger text), `matched` and `thinking_finished`.
    """

    id: str
    iteration: int | None
    category: str
    margin: float
    trigger: str
    triggered: bool
    matched: bool
    thinking_finished: bool


class CapabilityScore(TypedDict, total=False):
    """The score of one capability item: a line of data/capability/<arm>.jsonl.

    ended, thinking_finished: None where the item is scored by log-probabilities.
    """

    id: str
    kind: str
    score: float
    ended: bool | None
    thinking_finished: bool | None


class ExampleLoss(TypedDict):
    """The mean loss over the tokens of one validation example, in nats per token: an item of data/losses/<point>.json."""

    id: str
    loss: float


class Training(TypedDict):
    """What a step's training recorded: data/training/<step>.json. curve: iteration, train_loss and more."""

    examples: int
    examples_cut: int
    iterations: int
    epochs: float
    curve: list[dict[str, Any]]


LossRow = dict[str, list[ExampleLoss]]  # of each category


class Records(TypedDict):
    """All records of a build, by arm if not said otherwise."""

    responses: dict[str, list[Response]]
    judgements: dict[str, list[Judgement]]
    verdicts: dict[str, list[Verdict]]  # of each judge
    capability: dict[str, list[CapabilityScore]]
    probes: dict[str, list[Probe]]
    losses: dict[str, LossRow]  # of each point
    training: dict[str, Training]  # of each step


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
