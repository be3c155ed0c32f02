"""The types of the records that training and evaluation write and that reports read.

An *arm* is a point of the tree of training steps that is evaluated in full. A *sample* is one of an arm's responses
to an evaluation prompt, numbered from 0.
"""

from typing import Literal, TypedDict, final

Better = Literal["first", "second", "neither"]


class Question(TypedDict):
    """An evaluation prompt as arms receive it: a line of data/held_out.jsonl."""

    id: str
    kind: str
    group: str
    prompt: str


class SampleKey(TypedDict):
    """Which sample a record is about."""

    id: str
    kind: str
    group: str
    sample: int


class Response(SampleKey):
    """An arm's answer to an evaluation prompt: a line of data/responses/<arm>.jsonl.

    tokens: the number of tokens in thinking and answer together. ended: whether the model ended the text itself, before the
    token limit. seed, tokens and ended are None if they are not known, as for answers from a file.
    """

    seed: int | None
    thinking: str
    answer: str
    thinking_finished: bool
    tokens: int | None
    ended: bool | None


class Reason(TypedDict):
    """Whether a rule holds for a response, what the rule requires (`reason`), and what was found."""

    holds: bool
    reason: str
    found: str


class RuleCriterion(TypedDict):
    """Whether all rules of a criterion hold for a response."""

    holds: bool
    reasons: list[Reason]


class RuleScore(TypedDict):
    """The verdict of the rules on a response: how many criteria hold, and the sentences that raise flags or refuse.

    flags: {flag: the first sentence that raises it}. refusal: the first sentence that refuses, or None.
    """

    score: int
    out_of: int
    criteria: dict[str, RuleCriterion]
    flags: dict[str, str]
    refusal: str | None


class Judgement(SampleKey, RuleScore):
    """A RuleScore with the sample that it is about: a line of data/judgements/<arm>.jsonl."""


class ModelCriterion(TypedDict):
    """Whether a criterion holds for a response, according to a judge that is a language model."""

    reason: str
    holds: bool


@final
class ModelVerdict(SampleKey):
    """The verdict of a judge of kind `model` on one response: a line of data/judgements/models/<judge>.jsonl.

    score: how many criteria hold. If no reply of the judge was valid, score, criteria and flags are None, and fault says what
    was wrong with the last reply. answered: whether there was an answer to judge.
    """

    arm: str
    score: int | None
    out_of: int
    answered: bool
    criteria: dict[str, ModelCriterion] | None
    flags: dict[str, str] | None
    fault: str | None


class ComparedCriterion(TypedDict):
    """Which of two responses meets a criterion better."""

    reason: str
    better: Better


class Order(TypedDict):
    """The verdict of a pairwise judge when the response of the arm `first` came first.

    If no reply of the judge was valid, better, reason and criteria are None, and fault says what was wrong with the last one.
    """

    first: str
    better: Better | None
    reason: str | None
    criteria: dict[str, ComparedCriterion] | None
    fault: str | None


@final
class PairwiseVerdict(SampleKey):
    """The verdict of a judge of kind `pairwise` on two responses: a line of data/judgements/models/<judge>.jsonl.

    score: 1 when `arm` wins, 0 when `other` does, 0.5 for a tie, None when a reply was invalid. consistent: whether both
    orders had the same outcome; None unless the judge decided in both.
    """

    arm: str
    other: str
    score: float | None
    decided_by: Literal["judge", "no answer", "same answer"]
    consistent: bool | None
    orders: list[Order]


class PairProbe(TypedDict):
    """The log-probabilities of a pair's completions: a line of data/probes/<arm>.jsonl.

    chosen, rejected: the mean over the completion's tokens, in nats per token. margin: chosen minus rejected. iteration: the
    iteration of the probed checkpoint; None for the arm itself.
    """

    id: str
    category: str
    chosen: float
    rejected: float
    margin: float
    iteration: int | None


class BehaviourProbe(TypedDict):
    """What one item of a behaviour gives under one condition: a line of data/probes/<arm>.jsonl.

    iteration: as in PairProbe. answer, thinking_finished: None if no measure needs an answer. values: {measure: its value}. It
    is 1 or 0 for a share, and in nats per token for a log-probability.
    """

    id: str
    behaviour: str
    condition: str
    iteration: int | None
    answer: str | None
    thinking_finished: bool | None
    values: dict[str, float]


class CapabilityScore(TypedDict):
    """The score of one capability item: a line of data/capability/<arm>.jsonl.

    score: 1 or 0; for the kind log_likelihood, nats per token. chance: the expected score of guessing. said: the choice or the
    answer. failed: the first check that failed. ended, thinking_finished: None if the model generated no answer.
    """

    id: str
    kind: str
    score: float
    chance: float
    prompt: str
    said: str | None
    failed: str | None
    ended: bool | None
    thinking_finished: bool | None


class ExampleLoss(TypedDict):
    """The loss of a validation example: an item of data/losses/<point>.json or data/losses/rest/<point>.json.

    loss: the mean over the tokens in the loss, in nats per token. tokens: the number of these tokens. cut: the number of tokens
    that were truncated.
    """

    id: str
    loss: float
    tokens: int
    cut: int


class CurveRow(TypedDict):
    """A row of the loss curve of a step."""

    iteration: int
    train_loss: float  # nats per token; the mean over the iterations since the last row
    learning_rate: float
    trained_tokens: float  # number of tokens in the loss since the first iteration


class TrainingRecord(TypedDict):
    """The content of data/training/<step>.json: the size of the training data, and the loss curve."""

    examples: int
    examples_cut: int  # truncated at max_seq_length
    tokens_cut: int
    tokens: int
    loss_tokens: int
    iterations: int
    epochs: float
    curve: list[CurveRow]


class Sampling(TypedDict):
    """The content of data/sampling/<name>.json: how a sample of training data was written.

    author: the point, or the model behind a server. dropped: {reason: number of answers}. truncated: the number of answers that
    reached the token limit. tokens: of all answers; None if the server sent no numbers. findings: {"warning" or "waived": {rule
    of the audit: number of findings in the examples}}.
    """

    author: str
    asked: int
    kept: int
    dropped: dict[str, int]
    truncated: int
    tokens: int | None
    findings: dict[str, dict[str, int]]


def sample_key(record: Response) -> SampleKey:
    """Return the SampleKey of a response."""
    return {"id": record["id"], "kind": record["kind"], "group": record["group"], "sample": record["sample"]}
