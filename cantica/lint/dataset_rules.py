"""Rules about the whole dataset: answers with the same opening, and arms trained on different numbers of tokens."""

from collections import Counter
from pathlib import Path

from cantica.dataset.words import words
from cantica.lint.findings import Fault
from cantica.lint.statistics import SampledExample, parts_of
from cantica.settings.tree import path_to

FEW = 5  # so many answers may open with the same words in a sample of any size
BySplit = dict[str, dict[str, int]]  # {split: {category: number}}


def opener_faults(sample: list[SampledExample], settings: dict, data: Path) -> list[Fault]:
    """Return a fault for each category where too many training answers open with the same three words."""
    faults = []
    openers: dict[str, Counter[str]] = {}
    for record in sample:
        if record["split"] == "train":
            opener = " ".join(words(parts_of(record["messages"])["answer"])[:3])
            openers.setdefault(record["category"], Counter())[opener] += 1
    for category, counts in openers.items():
        (opener, n), limit = counts.most_common(1)[0], settings["opener_share"]
        if n > FEW and n / counts.total() > limit:
            message = f"{n} of {counts.total()} sampled answers open with {opener!r}; expected at most {limit:.0%}"
            file = (data / "train" / f"{category}.jsonl").as_posix()
            faults.append(Fault("openers", file, message, categories=(category,)))
    return faults


def budget_faults(params: dict, sizes: BySplit, tokens: BySplit) -> list[Fault]:
    """Return a fault if the trained arms differ too much in the number of tokens that they are trained on."""
    arms = {arm: point for arm, point in params["arms"].items() if point != "base"}
    trained = {arm: trained_tokens(point, params, sizes, tokens) for arm, point in arms.items()}
    least, most, limit = min(trained.values(), default=0), max(trained.values(), default=0), params["audit"]["budget_gap"]
    if most == 0 or (most - least) / most <= limit:
        return []
    numbers = ", ".join(f"{arm} {round(number):,}" for arm, number in trained.items())
    message = f"tokens that each arm is trained on: {numbers}; expected a difference of at most {limit:.0%}"
    return [Fault("budget", "params.yaml", message)]


def trained_tokens(point: str, params: dict, sizes: BySplit, tokens: BySplit) -> float:
    """Return the tokens that all steps up to a point train on: iterations × batch size × mean length of the step's examples."""
    total = 0.0
    for step in path_to(point, params["curriculum"]):
        settings = params["train"] | params["curriculum"][step]
        total += settings["iters"] * settings["batch_size"] * _mean_length(settings["data"], params, sizes, tokens)
    return total


def _mean_length(data: str, params: dict, sizes: BySplit, tokens: BySplit) -> float:
    """Return the mean number of tokens of an example in `train/<category>` or `mixes/<mix>`."""
    folder, name = data.split("/")
    weights = {name: 1.0} if folder == "train" else params["mixes"][name]
    examples = sum(weight * sizes["train"][category] for category, weight in weights.items())
    return sum(weight * tokens["train"][category] for category, weight in weights.items()) / max(examples, 1)
