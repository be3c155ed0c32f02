"""Findings about a whole category or curriculum, which no single example has."""

from collections import Counter
from pathlib import Path

from stages.lib.statistics import parts_of
from stages.lib.tree import path_to
from stages.lib.words import words

FEW = 5  # answers that may open alike in any sample


def opener_findings(sample: list[dict], settings: dict, data: Path) -> list[dict]:
    """A finding for each category's training file in which too many answers open with the same three words."""
    found = []
    openers: dict[str, Counter] = {}
    for record in sample:
        if record["split"] == "train":
            opener = " ".join(words(parts_of(record["messages"])["answer"])[:3])
            openers.setdefault(record["category"], Counter())[opener] += 1
    for category, counts in openers.items():
        (opener, n), most = counts.most_common(1)[0], settings["opener_share"]
        if n > FEW and n / counts.total() > most:
            message = f"{n} of {counts.total()} sampled answers open with {opener!r}; expected {most:.0%} at most"
            file = (data / "train" / f"{category}.jsonl").as_posix()
            found.append({"rule": "openers", "file": file, "line": None, "message": message})
    return found


def budgets(params: dict, tokens: dict) -> list[dict]:
    """A finding if the trained arms were given unequal numbers of tokens."""
    spent = {arm: budget(point, params, tokens) for arm, point in params["arms"].items() if point != "base"}
    least, most = min(spent.values(), default=0), max(spent.values(), default=0)
    if most == 0 or (most - least) / most <= params["audit"]["budget_gap"]:
        return []
    told = ", ".join(f"{arm} {round(number):,}" for arm, number in spent.items())
    expected = f"expected a difference of {params['audit']['budget_gap']:.0%} at most"
    return [{"rule": "budget", "file": "params.yaml", "line": None, "message": f"tokens trained on: {told}; {expected}"}]


def budget(point: str, params: dict, tokens: dict) -> float:
    """Tokens that the steps on the way to a point train on: updates × batch × mean length of the step's data."""
    total = 0.0
    for step in path_to(point, params["curriculum"]):
        settings = params["train"] | params["curriculum"][step]
        total += settings["iters"] * settings["batch_size"] * _length(settings["data"], params, tokens)
    return total


def _length(data: str, params: dict, tokens: dict) -> float:
    folder, name = data.split("/")
    weights = {name: 1.0} if folder == "train" else params["mixes"][name]
    examples = {category: weight * params["categories"][category]["train"] for category, weight in weights.items()}
    whole = sum(weight * tokens["train"][category] for category, weight in weights.items())
    return whole / sum(examples.values())
