"""Measures of judged responses: scores of the rules and of models as judges, and preferences between two arms. Pure.

A verdict of a model is null if no reply was valid. A null verdict has no score: it is only counted, as `failed`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from cantica.core.records import Judgement, ModelVerdict, PairwiseVerdict
from cantica.reporting import inference
from cantica.reporting.endings import endings, of_items, scored_endings, unequal_endings
from cantica.reporting.inference import Resampling
from cantica.reporting.measures import Measure, Table, items
from cantica.reporting.records import Judgements, Responses, Verdicts
from cantica.reporting.rows import Row, levels

Single = dict[str, list[ModelVerdict]]  # {judge that scores responses one by one: its verdicts}
Pairwise = dict[str, list[PairwiseVerdict]]  # {judge that compares the responses of two arms: its verdicts}


def single(verdicts: Verdicts, judges: dict[str, dict[str, Any]]) -> Single:
    """Return the verdicts of the judges that score responses one by one."""
    return cast(Single, {judge: verdicts[judge] for judge, options in judges.items() if options["kind"] == "model"})


def pairwise(verdicts: Verdicts, judges: dict[str, dict[str, Any]]) -> Pairwise:
    """Return the verdicts of the judges that compare the responses of two arms."""
    return cast(Pairwise, {judge: verdicts[judge] for judge, options in judges.items() if options["kind"] == "pairwise"})


# ---- scores


def rule_measures(judged: Judgements, responses: Responses, kinds: dict[str, Any]) -> list[Measure]:
    """Return the measures of the rules: scores on each kind of prompt, refusals and flags. kinds: {kind: its criteria}."""
    judgements = [j for arm in judged for j in judged[arm]]
    if not judgements:
        return []

    def table(value: Callable[[Judgement], float | None]) -> dict[str, Table]:
        return {arm: items(judged[arm], value) for arm in judged}

    def scores(kind: str) -> Measure:
        tables = table(lambda j: j["score"] if j["kind"] == kind else None)
        group = {j["id"]: j["group"] for j in judgements if j["kind"] == kind}
        ended = {arm: scored_endings(responses[arm], [j for j in judged[arm] if j["kind"] == kind]) for arm in judged}
        title = f"score on {kind} prompts, 0 to {len(kinds[kind])}"
        return Measure(f"judge.{kind}", title, tables, group, endings=ended, lexical=True)

    ended = {arm: endings(responses[arm]) for arm in judged}
    refused, flagged = table(lambda j: j["refusal"] is not None), table(lambda j: bool(j["flags"]))
    return [
        *(scores(kind) for kind in dict.fromkeys(j["kind"] for j in judgements)),
        Measure("refusals", "responses that refuse", refused, share=True, endings=ended, lexical=True),
        Measure("flags", "responses with a safety flag", flagged, share=True, endings=ended, lexical=True),
    ]


def flag_measures(judged: Judgements, flags: list[str]) -> list[Measure]:
    """Return the measure of each flag: whether a response raises it."""

    def raised(flag: str) -> dict[str, Table]:
        return {arm: items(found, lambda j: flag in j["flags"]) for arm, found in judged.items()}

    return [Measure(f"flags.{flag}", f"responses flagged as {flag}", raised(flag), share=True, lexical=True) for flag in flags]


def flag_rows(judged: Judgements, arm: str, flags: list[str]) -> list[Row]:
    """Return a row for each flag: the share of an arm's responses that raise it."""
    if not judged[arm]:
        return []
    measures = flag_measures({arm: judged[arm]}, flags)
    shares = [inference.share(measure.tables[arm].values()) for measure in measures]
    return [Row(arm, "flags", share, group=flag) for flag, share in zip(flags, shares, strict=True)]


def model_measures(verdicts: Single, responses: Responses) -> list[Measure]:
    """Return the measures of each model as judge: its scores on each kind of evaluation prompt."""
    measures = []
    for judge, found in verdicts.items():
        for kind, out_of in {verdict["kind"]: verdict["out_of"] for verdict in found}.items():
            group = {verdict["id"]: verdict["group"] for verdict in found if verdict["kind"] == kind}
            own = {arm: [v for v in found if (v["kind"], v["arm"]) == (kind, arm)] for arm in responses}
            tables = {arm: items(verdicts, lambda v: v["score"]) for arm, verdicts in own.items()}
            ended = {arm: scored_endings(responses[arm], verdicts) for arm, verdicts in own.items()}
            title = f"score by {judge} on {kind} prompts, 0 to {out_of}"
            measures.append(Measure(f"verdict.{judge}.{kind}", title, tables, group, endings=ended))
    return measures


def failed_rows(verdicts: Single, arm: str) -> list[Row]:
    """Return a row for each judge and kind of prompt: how many verdicts on an arm's responses are null."""
    rows = []
    for judge, found in verdicts.items():
        for kind in dict.fromkeys(verdict["kind"] for verdict in found):
            null = sum(v["arm"] == arm and v["kind"] == kind and v["score"] is None for v in found)
            rows.append(Row(arm, f"verdict.{judge}.{kind}", {"failed": null}))
    return rows


def wins(judged: Judgements, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], dict[str, int]]:
    """Return, for each pair of arms, how many responses of the first the rules score higher, the same or lower.

    Only responses to the same prompt and sample are compared.
    """
    scores = {arm: {(j["id"], j["sample"]): j["score"] for j in found} for arm, found in judged.items()}
    found = {}
    for arm, against in pairs:
        gains = [score - scores[against][key] for key, score in scores[arm].items() if key in scores[against]]
        found[arm, against] = {
            "higher": sum(gain > 0 for gain in gains),
            "same": gains.count(0),
            "lower": sum(gain < 0 for gain in gains),
        }
    return found


# ---- preferences


def preference_measures(verdicts: Pairwise, first: str, second: str) -> list[Measure]:
    """Return measures of how often each pairwise judge prefers the response of the second arm to that of the first.

    The win rate counts a tie as half a win. A comparison is inconsistent if the judge decides differently in the other order;
    it counts as a tie. Identical responses tie, and the judge does not see them.
    """
    measures = []
    for judge, found in verdicts.items():
        pair = [verdict for verdict in found if (verdict["arm"], verdict["other"]) == (first, second)]
        decided = [verdict for verdict in pair if verdict["score"] is not None]
        kind = {verdict["id"]: verdict["kind"] for verdict in pair}
        tables = {
            "win_rate": items(decided, lambda v: 1 - v["score"]),
            "won": items(decided, lambda v: v["score"] == 0),
            "tied": items(decided, lambda v: v["score"] == 0.5),
            "lost": items(decided, lambda v: v["score"] == 1),
            "inconsistent": items((v for v in decided if v["consistent"] is not None), lambda v: not v["consistent"]),
        }
        for name, table in tables.items():
            groups = kind if name == "win_rate" else {}
            measures.append(Measure(f"verdict.{judge}.{name}", name, {second: table}, groups, share=True))
    return measures


def preference_rows(verdicts: Pairwise, first: str, second: str, responses: Responses, resampling: Resampling) -> list[Row]:
    """Return the rows of `preference_measures`, and one more row for each judge.

    That row has the number of failed comparisons, and shows whether the responses of the two arms ended differently.
    """
    measures = preference_measures(verdicts, first, second)
    rows = [row for measure in measures for row in levels(measure, second, resampling, against=first)]
    both = {response["id"] for response in responses[first]} & {response["id"] for response in responses[second]}
    unequal = unequal_endings({arm: of_items(endings(responses[arm]), both) for arm in (first, second)})
    for judge, found in verdicts.items():
        null = sum(v["score"] is None for v in found if (v["arm"], v["other"]) == (first, second))
        marks: inference.Estimate = {"failed": null, "unequal": unequal} if unequal else {"failed": null}
        rows.append(Row(second, f"verdict.{judge}", marks, against=first))
    return rows


def by_response(verdicts: Sequence[Mapping[str, Any]]) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    """Return {(arm, id, sample): verdict}; for a pairwise judge {(arm, other, id, sample): verdict}."""
    keys = ("arm", "other", "id", "sample")
    return {tuple(verdict[key] for key in keys if key in verdict): verdict for verdict in verdicts}
