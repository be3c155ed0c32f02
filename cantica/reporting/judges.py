"""What the verdicts of judges that are models say of arms. Pure: records of data/judgements/models in, numbers out.

A verdict is null when no reply of the judge fitted. It has no score: it is counted as `failed` and left out of all else.
"""

from cantica.reporting.measures import Measure, endings, items, levels, marked, scored_endings, unequal_endings

Verdicts = dict[str, list[dict]]  # of each judge, by its name


def single(verdicts: Verdicts, judges: dict[str, dict]) -> Verdicts:
    """The verdicts of the judges that score each answer alone."""
    return {judge: verdicts[judge] for judge, options in judges.items() if options["kind"] == "model"}


def pairwise(verdicts: Verdicts, judges: dict[str, dict]) -> Verdicts:
    """The verdicts of the judges that compare two arms' answers."""
    return {judge: verdicts[judge] for judge, options in judges.items() if options["kind"] == "pairwise"}


def score_measures(scored: Verdicts, responses: dict[str, list[dict]]) -> list[Measure]:
    """Of each judge and kind of prompt the scores, with the groups of prompts. responses: the answers of each arm."""
    measures = []
    for judge, found in scored.items():
        group = {verdict["id"]: verdict["group"] for verdict in found}
        for kind, out_of in {verdict["kind"]: verdict["out_of"] for verdict in found}.items():
            own = {arm: [v for v in found if (v["kind"], v["arm"]) == (kind, arm)] for arm in responses}
            tables = {arm: items(verdicts, lambda v: v["score"]) for arm, verdicts in own.items()}
            ended = {arm: scored_endings(responses[arm], verdicts) for arm, verdicts in own.items()}
            title = f"{kind} prompts by {judge}, 0 to {out_of}"
            measures.append(Measure(f"verdict.{judge}.{kind}", title, tables, group, endings=ended))
    return measures


def failed(scored: Verdicts, arm: str) -> dict:
    """How many verdicts on an arm's answers are null, by judge and kind, where their scores stand in details.json."""
    told: dict = {}
    for judge, found in scored.items():
        for verdict in found:
            entry = told.setdefault(judge, {}).setdefault(verdict["kind"], {"failed": 0})
            entry["failed"] += verdict["arm"] == arm and verdict["score"] is None
    return {"verdict": told}


def preference_measures(compared: Verdicts, first: str, second: str) -> list[Measure]:
    """Of each judge how often the second arm's answer is preferred to the first's, tied with it and not preferred.

    The win rate counts a tie as half a win. A comparison is inconsistent when the judge decides otherwise in the other order,
    and a tie then; answers in the same words tie without being shown.
    """
    measures = []
    for judge, found in compared.items():
        pair = [verdict for verdict in found if (verdict["arm"], verdict["other"]) == (first, second)]
        decided = [verdict for verdict in pair if verdict["score"] is not None]
        kind = {verdict["id"]: verdict["kind"] for verdict in pair}
        for name, among, value, groups in (
            ("win_rate", decided, lambda v: 1 - v["score"], kind),
            ("won", decided, lambda v: v["score"] == 0, {}),
            ("tied", decided, lambda v: v["score"] == 0.5, {}),
            ("lost", decided, lambda v: v["score"] == 1, {}),
            ("inconsistent", [v for v in decided if v["consistent"] is not None], lambda v: not v["consistent"], {}),
        ):
            measures.append(Measure(f"verdict.{judge}.{name}", name, {second: items(among, value)}, groups, share=True))
    return measures


def preferences(
    compared: Verdicts, first: str, second: str, responses: dict[str, list[dict]], draws: dict[str, int]
) -> list[dict]:
    """The levels of `preference_measures`, how many verdicts on the pair are null, and how the answers did not end alike."""
    told = [levels(measure, second, draws) for measure in preference_measures(compared, first, second)]
    unlike = marked("unequal", unequal_endings({arm: endings(responses[arm]) for arm in (first, second)}))
    for judge, found in compared.items():
        null = sum(v["score"] is None for v in found if (v["arm"], v["other"]) == (first, second))
        told.append({"verdict": {judge: {"failed": null} | unlike}})
    return told


def by_answer(found: list[dict]) -> dict[tuple, dict]:
    """Verdicts by (arm, id, sample), or those on two arms by (arm, other, id, sample)."""
    return {tuple(v[key] for key in ("arm", "other", "id", "sample") if key in v): v for v in found}
