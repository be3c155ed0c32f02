"""Rules about the whole dataset: answers with the same opening, and arms trained on different numbers of tokens."""

from collections import Counter
from collections.abc import Iterator

from cantica.dataset.words import words
from cantica.lint.files import DataFiles
from cantica.lint.findings import Fault
from cantica.lint.statistics import SampledExample, parts_of
from cantica.settings.tree import ROOT, iteration_of, path_to

FEW = 5  # so many answers may open with the same words in a sample of any size
BySplit = dict[str, dict[str, int]]  # {split: {category: number}}


def opener_faults(sample: list[SampledExample], settings: dict, files: DataFiles) -> Iterator[Fault]:
    """Yield a fault for each category or sample where too many training answers open with the same three words."""
    paths = {file.category: file.path.as_posix() for file in files if file.split == "train"}
    openers: dict[str, Counter[str]] = {}
    for record in sample:
        if record["split"] == "train":
            opener = " ".join(words(parts_of(record["messages"])["answer"])[:3])
            openers.setdefault(record["category"], Counter())[opener] += 1
    for category, counts in openers.items():
        (opener, n), limit = counts.most_common(1)[0], settings["opener_share"]
        if n > FEW and n / counts.total() > limit:
            message = f"{n} of {counts.total()} sampled answers open with {opener!r}; expected at most {limit:.0%}"
            yield Fault("openers", paths[category], message, categories=(category,))


def budget_faults(params: dict, sizes: BySplit, tokens: BySplit) -> list[Fault]:
    """Return a fault if the trained arms differ too much in the number of tokens that they are trained on.

    Arms whose training includes a sample are left out: how long its examples are is not known before they are written.
    """
    found = {arm: trained_tokens(about["point"], params, sizes, tokens) for arm, about in params["arms"].items()}
    trained = {arm: number for arm, number in found.items() if number is not None and params["arms"][arm]["point"] != ROOT}
    least, most, limit = min(trained.values(), default=0), max(trained.values(), default=0), params["audit"]["budget_gap"]
    if most == 0 or (most - least) / most <= limit:
        return []
    numbers = ", ".join(f"{arm} {round(number):,}" for arm, number in trained.items())
    message = f"tokens that each arm is trained on: {numbers}; expected a difference of at most {limit:.0%}"
    return [Fault("budget", "params.yaml", message)]


def trained_tokens(point: str, params: dict, sizes: BySplit, tokens: BySplit) -> float | None:
    """Return the tokens that all steps up to a point train on: iterations × batch size × mean length of the step's examples.

    A checkpoint has only its own number of iterations of its step. None if a step trains on a sample.
    """
    total, path = 0.0, path_to(point, params["curriculum"])
    for step in path:
        settings = params["train"] | params["curriculum"][step]
        length = _mean_length(settings["data"], params["mixes"], sizes["train"], tokens["train"])
        if length is None:
            return None
        kept = iteration_of(point) if step == path[-1] else None
        total += (settings["iters"] if kept is None else kept) * settings["batch_size"] * length
    return total


def _mean_length(data: str, mixes: dict, sizes: dict[str, int], tokens: dict[str, int]) -> float | None:
    """Return the mean number of tokens of an example in the file of a step, or None if it is a sample."""
    folder, name = data.split("/")
    if folder == "samples":
        return None
    weights = {name: 1.0} if folder == "train" else mixes[name]
    examples = sum(weight * sizes[category] for category, weight in weights.items())
    return sum(weight * tokens[category] for category, weight in weights.items()) / max(examples, 1)
