"""Numbers of a report, from the records that the stages before it wrote. Pure: records in, numbers out."""

from statistics import fmean

from cantica.reporting import inference, judges
from cantica.reporting.measures import COUNTED, Ending, Measure, Table, differences, endings, items, levels, scored_endings
from cantica.reporting.probes import at_the_end, probe_measures
from cantica.settings.tree import branches, path_to

TESTS = {
    "multiple_choice": "questions answered rightly, of four choices",
    "instructions": "instructions followed",
    "arithmetic": "sums done rightly",
}
WHOLE = ("all", "answers")  # the entry for all items, where those of their groups stand beside it
# What the headline tells of an entry.
TOLD = ("mean", "share", "difference", "low", "high", "p", "n", "failed", *COUNTED, "unequal", "opposed")


def measures(records: dict[str, dict], params: dict, rules: dict) -> list[Measure]:
    """All that is measured of arms, in the order in which it is told: what the rules say comes last."""
    judged = records["judgements"]
    lost = {arm: [e for row in records["losses"][point].values() for e in row] for arm, point in params["arms"].items()}
    held_out = {e["id"]: c for point in params["arms"].values() for c, row in records["losses"][point].items() for e in row}
    tested = records["capability"]

    def of_losses() -> dict[str, Table]:
        return {arm: items(lost[arm], lambda e: e["loss"]) for arm in lost}

    def of_tests(kind: str) -> dict[str, Table]:
        return {arm: items(tested[arm], lambda r: r["score"] if r["kind"] == kind else None) for arm in tested}

    def of_answers(kind: str) -> dict[str, list[Ending]]:
        return {arm: endings([r for r in tested[arm] if r["kind"] == kind and r.get("ended") is not None]) for arm in tested}

    return [
        Measure("loss_nats", "held-out loss, nats a token", of_losses(), held_out, digits=3),
        *probe_measures({arm: at_the_end(found) for arm, found in records["probes"].items()}, params["probe"]["triggers"]),
        *(
            Measure(f"capability.{kind}", title, of_tests(kind), share=True, endings=of_answers(kind))
            for kind, title in TESTS.items()
        ),
        Measure("capability.prose_nats", "log-probability of plain prose, nats a token", of_tests("log_likelihood"), digits=3),
        *judges.score_measures(judges.single(records["verdicts"], params["judges"]), records["responses"]),
        *rule_measures(judged, records["responses"], rules),
    ]


def rule_measures(judged: dict[str, list[dict]], responses: dict[str, list[dict]], rules: dict) -> list[Measure]:
    """What the rules say: the scores of each kind of prompt with the groups in it, refusals and flags."""
    verdicts = [j for arm in judged for j in judged[arm]]
    group = {j["id"]: j["group"] for j in verdicts}

    def of_verdicts(value) -> dict[str, Table]:
        return {arm: items(judged[arm], value) for arm in judged}

    def scores(kind: str) -> Measure:
        tables = of_verdicts(lambda j: j["score"] if j["kind"] == kind else None)
        ended = {arm: scored_endings(responses[arm], [j for j in judged[arm] if j["kind"] == kind]) for arm in judged}
        title = f"{kind} prompts, 0 to {len(rules['kinds'][kind])}"
        return Measure(f"judge.{kind}", title, tables, group, endings=ended, lexical=True)

    every = {"share": True, "endings": {arm: endings(responses[arm]) for arm in judged}, "lexical": True}
    return [
        *(scores(kind) for kind in dict.fromkeys(j["kind"] for j in verdicts)),
        Measure("refusals", "answers that refuse", of_verdicts(lambda j: j["refusal"] is not None), **every),
        Measure("flags", "answers with a safety flag", of_verdicts(lambda j: bool(j["flags"])), whole="answers", **every),
    ]


def headline(numbers: dict[str, dict]) -> dict[str, dict]:
    """`reports/metrics.json`: of the `details` each entry for all items, beside it the bare mean or share of each group.

    Differences stand without groups. An entry stands where its groups do: that at `flags.answers` of the details is `flags`.
    """
    return {
        arm: {
            name: part if name == "answers" else _headline(part, groups=not name.startswith("against_"))
            for name, part in told.items()
        }
        for arm, told in numbers.items()
    }


def _headline(numbers: dict, groups: bool) -> dict:
    whole = numbers if "n" in numbers else next((numbers[name] for name in WHOLE if name in numbers), None)
    if whole is None:
        return {name: _headline(part, groups) if isinstance(part, dict) else part for name, part in numbers.items()}
    parts = {name: part for name, part in numbers.items() if groups and isinstance(part, dict) and part is not whole}
    bare = {name: part[key] for name, part in parts.items() for key in ("mean", "share") if key in part}
    return {name: whole[name] for name in TOLD if name in whole} | bare


def details(told: list[Measure], records: dict[str, dict], params: dict, rules: dict) -> dict[str, dict]:
    """`reports/details.json`: all numbers of each arm, and for each but the first those `against_<first arm>`."""
    draws = params["report"]
    first, *others = params["arms"]
    scored, compared_ = (of(records["verdicts"], params["judges"]) for of in (judges.single, judges.pairwise))
    numbers = {}
    for arm, point in params["arms"].items():
        own = [
            *(levels(measure, arm, draws) for measure in told),
            judges.failed(scored, arm) if scored else {},
            {"flags": flag_shares(records["judgements"][arm], rules["flags"])},
            {"answers": answer_metrics(records["responses"][arm])},
            chain_metrics(point, params["curriculum"], records["losses"], draws),
        ]
        if arm in others:
            own += [{f"against_{first}": differences(measure, first, arm, draws)} for measure in told]
        for earlier in numbers:
            preferred = judges.preferences(compared_, earlier, arm, records["responses"], draws)
            own += [{f"against_{earlier}": told} for told in preferred]
        numbers[arm] = _rounded(_merged(own))
    return numbers


def flag_shares(judgements: list[dict], names) -> dict[str, dict]:
    """The share of answers that raise each flag."""
    return {name: inference.share(items(judgements, lambda j, name=name: name in j["flags"]).values()) for name in names}


def answer_metrics(responses: list[dict]) -> dict[str, float]:
    """How many answers there are, how many hit the length limit or never finished thinking, and their mean length."""
    return {
        "n": len(responses),
        "hit_length_limit": sum(not r["ended"] for r in responses),
        "thinking_unfinished": sum(not r["thinking_finished"] for r in responses),
        "mean_tokens": fmean(r["tokens"] for r in responses),
    }


def chain_metrics(point: str, curriculum: dict[str, dict], losses: dict[str, dict], draws: dict[str, int]) -> dict:
    """Backward transfer and forgetting along the chain to a point: mean with interval, n and each category; {} where none is.

    A category's own step is the first of the chain that trained on its file; a mixture is nobody's own.
    """
    chain = path_to(point, curriculum)
    rows = [cells(losses[step]) for step in chain]
    trained = [curriculum[step]["data"] for step in chain]
    learnt = {c: trained.index(f"train/{c}") for c in losses[point] if f"train/{c}" in trained}
    found = {
        "forgetting_nats": inference.forgetting(rows, learnt),
        "backward_transfer_nats": inference.backward_transfer(rows, learnt),
    }
    return {name: inference.mean(values.values(), **draws) | values for name, values in found.items() if values}


def compared(first: list[dict], second: list[dict]) -> dict[str, int]:
    """Of the answers to the same prompts, on how many the second arm scores higher, the same and lower."""
    before = {(j["id"], j["sample"]): j["score"] for j in first}
    gains = [j["score"] - before[j["id"], j["sample"]] for j in second]
    return {"higher": sum(g > 0 for g in gains), "same": gains.count(0), "lower": sum(g < 0 for g in gains)}


def _merged(parts: list[dict]) -> dict:
    whole: dict = {}
    for part in parts:
        for key, value in part.items():
            whole[key] = _merged([whole.get(key, {}), value]) if isinstance(value, dict) else value
    return whole


def _rounded(numbers: dict) -> dict:
    """Four places after the point; six of a p, of which a million patterns of signs give as many."""
    return {
        key: _rounded(value) if isinstance(value, dict) else round(value, 6 if key == "p" else 4)
        for key, value in numbers.items()
    }


def curve_rows(trainings: dict[str, dict], curriculum: dict[str, dict]) -> list[dict]:
    """The loss curve of every step; `iteration` counts on from the step before it, along the tree.

    `branch` is the step that the step's branch of the tree ends in.
    """
    branch = {step: last for last, steps in branches(curriculum).items() for step in steps}
    rows = []
    for step in curriculum:
        done = sum(trainings[s]["iterations"] for s in path_to(curriculum[step]["after"], curriculum))
        for point in trainings[step]["curve"]:
            at = {"iteration": done + point["iteration"], "branch": branch[step], "step": step}
            rows.append(at | {"train_loss": round(point["train_loss"], 4)})
    return rows


def cells(row: dict[str, list[dict]]) -> dict[str, float]:
    """A row of the loss matrix: of each category the mean over its held-out examples, each counting once, in nats a token."""
    return {category: fmean(example["loss"] for example in examples) for category, examples in row.items()}


def matrix_rows(matrix: dict[str, dict[str, float]]) -> list[dict]:
    """The loss matrix, a cell a row: the loss of a category after a step (or base)."""
    return [
        {"after": point, "category": category, "loss": round(loss, 4)}
        for point, row in matrix.items()
        for category, loss in row.items()
    ]
