"""The setting and the counts on the page of all experiments, computed again from their runs. It uses nothing of Cantica."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.support.pages import Experiment, number

VERDICTS = ("uninformative", "null", "reproduced", "contradicted", "underpowered")


def setting_faults(start: str, experiments: dict[str, Experiment]) -> list[str]:
    """A line for each phrase, row and sentence whose numbers do not follow. start: what comes before the sections."""
    faults = [line for variant, one in experiments.items() for line in (*_setting(one), *_overview(start, variant, one))]
    return faults + _counts(start, experiments)


def _setting(one: Experiment) -> Iterator[str]:
    """The numbers of each phrase on the setting and the cost of the runs, in their order."""
    expected = {words: [number for number in own if number is not None] for words, own in _expected(one).items()}
    for line in re.findall(r"^- (.+)$", one.section.split("\n| ")[0], re.MULTILINE):
        found = [number(text) for text in re.findall(r"(?<![\w-])\d[\d,.]*(?:e-\d+)?(?<![,.])", line)]
        if [own for words, own in expected.items() if words in line] != [found]:
            yield f"{line}: {found}"


def _expected(one: Experiment) -> dict[str, list]:
    """{words of a phrase: its numbers, None for what is not known}."""
    params, details, cost = next(iter(one.runs.values()))
    steps = [params["lora"] | params["train"] | own for own in params["curriculum"].values()]
    new = [own for own in steps if own["after"] == "base" or own.get("adapter") == "fresh"]
    shapes = dict.fromkeys((own["rank"], own["scale"], own["layers"]) for own in new)
    arms = [name for section in ("arms", "answers", "servers") for name in params[section]]
    kept = [point for arm in details.values() for point in arm.get("checkpoints", {}).values()]
    answers = [(own["n"], own.get("mean_tokens", 0)) for own in (arm.get("answers", {"n": 0}) for arm in details.values())]
    times = [_clock([run.cost.get(key) for run in one.runs.values()]) for key in ("seconds", "cpu_seconds")]
    return {
        f"{params['base']['model']}, LoRA of": [number for shape in shapes for number in shape if number != -1],
        " iterations a step": [n for key in ("iters", "batch_size", "learning_rate") for n in _ends(own[key] for own in steps)],
        f": {', '.join(arms)}": [len(arms)],
        " training step": [
            len(steps),
            sum(own["iters"] for own in steps),
            sum(own["iters"] * own["batch_size"] for own in steps),
            cost.get("tokens_trained"),
        ],
        " sampled answer": [_sampled(params), cost.get("tokens_sampled")],
        " of behaviours": [sum(map(_asked, [*details.values(), *kept])), len(details), len(kept) or None],
        " to evaluation prompts": [sum(n for n, _ in answers), round(sum(n * tokens for n, tokens in answers)) or None],
        " a seed to build": [*times[0], *times[1], cost.get("stages"), cost.get("unknown") or None],
    }


def _sampled(params: dict) -> float:
    """How many answers all samples have at most: to training examples, or to the prompts of another sample."""
    samples = params["samples"] | params["server_samples"]

    def most(prompts: str) -> float:
        kind, _, name = prompts.partition("/")
        if kind == "samples":
            return samples[name]["samples"] * most(samples[name]["prompts"])
        weights = params["mixes"][name] if kind == "mixes" else {name: 1}
        return sum(weight * params["categories"][category]["train"] for category, weight in weights.items())

    return sum(most(f"samples/{name}") for name in samples)


def _ends(values: Any) -> list:
    """The least and the greatest; one, if they are the same."""
    found = sorted(values)
    return list(dict.fromkeys([*found[:1], *found[-1:]]))


def _clock(seconds: list[int | None]) -> list[int]:
    """The least and the greatest time as hours and minutes, minutes and seconds, or seconds."""
    ends = _ends(own for own in seconds if own is not None)
    parts = [divmod(own // 60, 60) if own >= 3600 else divmod(own, 60) if own >= 60 else (own,) for own in ends]
    return [part for own in parts for part in own]


def _asked(point: dict) -> int:
    """The items of behaviours at a point, each under every condition."""
    asked = [
        {name: found["n"] for measure in measures.values() for name, found in measure.items() if "_minus_" not in name}
        for measures in point.get("behaviours", {}).values()
    ]
    return sum(sum(numbers.values()) for numbers in asked)


def _overview(start: str, variant: str, one: Experiment) -> Iterator[str]:
    (row,) = [line for line in start.splitlines() if line.startswith(f"| [{variant}]")]
    *_, verdicts, seeds, minutes = row.strip("| ").split(" | ")
    took = _ends(round(run.cost["seconds"] / 60) for run in one.runs.values() if "seconds" in run.cost)
    words = [row.word for row in one.rows if row.word]
    expected = words, str(len(one.runs)), " to ".join(map(str, took)) or "–"
    if (re.findall(r"\*\*(.+?)\*\*", verdicts), seeds, minutes) != expected:
        yield f"{row}: {expected}"


def _counts(start: str, experiments: dict[str, Experiment]) -> list[str]:
    """The sentence that counts experiments, gates and verdicts."""
    rows = [row for own in experiments.values() for row in own.rows if row.word]
    gates = sum("(gate)" in row.says for row in rows)
    words = Counter(row.word for row in rows)
    numbers = [len(experiments), gates, words["holds"], words["fails"], len(rows) - gates, *(words[word] for word in VERDICTS)]
    numbers += [words["not decided"]] if words["not decided"] else []
    (line,) = re.findall(r"^\d+ experiments? with.+$", start, re.MULTILINE)
    return [] if [*map(int, re.findall(r"\d+", line))] == numbers else [f"{line}: {numbers}"]
