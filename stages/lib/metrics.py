"""Numbers of a report, from the records that the stages before it wrote. Pure: records in, numbers out."""

from statistics import fmean

from stages.lib.tree import path_to


def _mean(values) -> float:
    return round(fmean(values), 4)


def loss_metrics(row: dict[str, dict]) -> dict[str, float]:
    """Loss of each category, in nats a token, and `mean`: that of the categories, each counted once."""
    losses = {category: round(cell["loss"], 4) for category, cell in row.items()}
    return {"mean": _mean(losses.values()), **losses}


def judge_metrics(judgements: list[dict]) -> dict[str, dict]:
    """Mean score of each kind and of each group in it, and `n`, the number of answers judged."""
    metrics: dict[str, dict] = {}
    for kind in _names(judgements, "kind"):
        of_kind = [j for j in judgements if j["kind"] == kind]
        groups = {g: _mean(j["score"] for j in of_kind if j["group"] == g) for g in _names(of_kind, "group")}
        metrics[kind] = {"mean": _mean(j["score"] for j in of_kind), "n": len(of_kind), **groups}
    return metrics


def flag_metrics(judgements: list[dict], names) -> dict[str, int]:
    """How many answers raised each flag, and `answers`: how many raised any."""
    counts = {name: sum(name in j["flags"] for j in judgements) for name in names}
    return {"answers": sum(bool(j["flags"]) for j in judgements), **counts}


def probe_metrics(scores: list[dict]) -> dict[str, dict]:
    """Mean margin (nats a token) and share of pairs with the fitting completion preferred, over all and by category."""
    groups = {"all": scores} | {c: [s for s in scores if s["category"] == c] for c in _names(scores, "category")}
    return {
        "margin": {name: _mean(s["margin"] for s in group) for name, group in groups.items()},
        "preferred": {name: _mean(s["margin"] > 0 for s in group) for name, group in groups.items()},
        "n": len(scores),
    }


def answer_metrics(responses: list[dict]) -> dict[str, float]:
    """How many answers there are, how many hit the length limit or never finished thinking, and their mean length."""
    return {
        "n": len(responses),
        "hit_length_limit": sum(not r["ended"] for r in responses),
        "thinking_unfinished": sum(not r["thinking_finished"] for r in responses),
        "mean_tokens": _mean(r["tokens"] for r in responses),
    }


def compared(first: list[dict], second: list[dict]) -> dict[str, int]:
    """Of the answers to the same prompts, on how many the second arm scores higher, the same and lower."""
    before = {(j["id"], j["sample"]): j["score"] for j in first}
    gains = [j["score"] - before[j["id"], j["sample"]] for j in second]
    return {"higher": sum(g > 0 for g in gains), "same": gains.count(0), "lower": sum(g < 0 for g in gains)}


def _names(records: list[dict], key: str) -> list[str]:
    return list(dict.fromkeys(record[key] for record in records))


def curve_rows(trainings: dict[str, dict], curriculum: dict[str, dict]) -> list[dict]:
    """The loss curve of every step; `iteration` counts on from the step before it, along the tree."""
    rows = []
    for step in curriculum:
        done = sum(trainings[s]["iterations"] for s in path_to(curriculum[step]["after"], curriculum))
        for point in trainings[step]["curve"]:
            rows.append({"iteration": done + point["iteration"], "step": step, "train_loss": round(point["train_loss"], 4)})
    return rows


def matrix_rows(losses: dict[str, dict]) -> list[dict]:
    """The loss matrix, a cell a row: the loss of a category after a step (or base)."""
    return [
        {"after": point, "category": category, "loss": round(cell["loss"], 4)}
        for point, row in losses.items()
        for category, cell in row.items()
    ]
