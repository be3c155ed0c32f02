"""The losses on the page of an experiment, computed again from its runs. It uses nothing of Cantica."""

import re
from collections.abc import Iterator
from statistics import fmean

from tests.support.pages import Experiment, number

HALF = 0.00051  # of the last of three decimals
HEADINGS = ("## Losses by category\n", "## Losses after each step\n")


def matrix_faults(one: Experiment) -> list[str]:
    """A line for each number in the tables of losses that does not follow, and for a page that lacks them."""
    chains = [own for details in _details(one) for own in details.values() if len(own.get("steps", {})) > 2]
    if not chains and HEADINGS[0] not in one.page:
        return []
    losses, after = (one.page.partition(heading)[2].split("\n## ")[0] for heading in HEADINGS)
    faults = list(_losses(losses, one)) if losses else ["no losses by category"]
    arms = dict(re.findall(r"^### (\w+)\n\n(.+?)(?:\n\n|\Z)", after, re.MULTILINE | re.DOTALL))
    expected = [arm for arm, own in _details(one)[0].items() if "steps" in own]
    faults += [] if [*arms] == expected else [f"losses after the steps of {', '.join(arms)}, not of {', '.join(expected)}"]
    return faults + [f"{arm}: {line}" for arm, text in arms.items() for line in _changes(text, arm, one)]


def _details(one: Experiment) -> list[dict]:
    return [run.details for run in one.runs.values()]


def _rows(text: str) -> list[list[str]]:
    head, _, *rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [head, *rows]


def _losses(text: str, one: Experiment) -> Iterator[str]:
    (_, _, *arms), *rows = _rows(text)
    for name, n, *cells in rows:
        found = [[own if name == "all" else own[_key(name)] for own in _of(arm, "loss_nats", one)] for arm in arms]
        sizes = [own[0]["n"] for own in found]
        for own, size, cell in zip(found, sizes, cells, strict=True):
            value, _, fewer = cell.partition(" of ")
            right = abs(number(value) - fmean(run["mean"] for run in own)) < HALF
            if not right or int(n) != max(sizes) or int(fewer or n) != size:
                yield f"{name}: {cell} over {n}"


def _of(arm: str, measure: str, one: Experiment) -> list[dict]:
    return [details[arm][measure] for details in _details(one)]


def _changes(text: str, arm: str, one: Experiment) -> Iterator[str]:
    (_, *names), *rows = _rows(text)
    steps = _of(arm, "steps", one)
    values: dict[str, list[float]] = {}
    bold: dict[str, list[bool]] = {}
    for step, *cells in [row for row in rows if not row[0].startswith("*")]:
        values[step] = [_mean(steps, _key(step), name) - _mean(steps, "base", name) for name in names]
        bold[step] = [cell.startswith("**") for cell in cells]
        yield from _unlike(step, cells, values[step])
    if [_key(step) for step in values] != [*steps[0]][1:]:
        yield f"steps {', '.join(values)}"
    *before, last = values
    own = [next((step for step in before if bold[step][n]), None) for n, _ in enumerate(names)]
    since = [values[last][n] - values[step][n] if step else None for n, step in enumerate(own)]
    if known := [value for value in since if value is not None]:
        since[names.index("all")] = fmean(known)
        yield from _unlike(rows[-1][0], rows[-1][1:], since)


def _mean(steps: list[dict], step: str, name: str) -> float:
    losses = [own[step]["loss_nats"] for own in steps]
    return fmean((loss if name == "all" else loss[_key(name)])["mean"] for loss in losses)


def _unlike(step: str, cells: list[str], expected: list[float | None]) -> Iterator[str]:
    for cell, value in zip(cells, expected, strict=True):
        text = cell.strip("*")
        if (text == "–") != (value is None) or (value is not None and abs(number(text) - value) > HALF):
            yield f"{step}: {cell}, not {value}"


def _key(words: str) -> str:
    return words.replace(" ", "_")
