"""The page that shows all experiments side by side: how many verdicts of each kind, a table, and a section on each. Pure.

Experiments come in the order of their names, whatever their verdicts.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from cantica.commands.comparison.claims import Decisions
from cantica.commands.comparison.statements import cell
from cantica.commands.comparison.verdicts import Verdict
from cantica.commands.experiments.cited import Cited
from cantica.commands.experiments.cost import costs
from cantica.commands.experiments.words import Words
from cantica.commands.text import counted
from cantica.settings.arms import all_arms
from cantica.settings.tree import ROOT

UNEXPLAINED = ("uninformative", "fails", "not decided")  # outcomes that do not follow from the interval and the bound
HEADS = ("experiment", "published", "verdicts", "seeds", "minutes a seed")


@dataclass(frozen=True)
class Entry:
    """An experiment: its runs, what is decided of its claims, and the words of its variant."""

    runs: list[Cited]
    found: Decisions
    words: Words

    @property
    def variant(self) -> str:
        return self.runs[0].variant

    @property
    def tests(self) -> str:
        return self.runs[0].about["tests"].rstrip(".")


def facts(entries: list[Entry]) -> dict[str, Any]:
    """What the page shows."""
    table = [HEADS, *map(_row, entries)]
    return {"summary": summary(entries), "overview": table, "sections": [_section(entry) for entry in entries]}


def summary(entries: list[Entry]) -> str:
    """How many experiments, gates and claims there are, and how many of each verdict, also where there is none."""
    rulings = [(ruling.claim.gate, entry.found.word(ruling)) for entry in entries for ruling in entry.found.rulings]
    gates, claims = (Counter(word for is_gate, word in rulings if is_gate == kind) for kind in (True, False))
    words = [*get_args(Verdict), *(["not decided"] if claims["not decided"] else [])]
    of_gates = f"{counted(gates.total(), 'gate')} ({gates['holds']} hold, {gates['fails']} fail)"
    of_claims = f"{counted(claims.total(), 'claim')} ({', '.join(f'{claims[word]} {word}' for word in words)})"
    return f"{counted(len(entries), 'experiment')} with {of_gates} and {of_claims}."


def _row(entry: Entry) -> Sequence[str]:
    anchor = re.sub(r"[^\w-]", "", entry.variant)  # as MkDocs and GitHub name the heading
    published = entry.words.own.get("finding") or f"nothing; it tests {entry.tests}"
    verdicts = (f"{ruling.claim.name}:\N{NO-BREAK SPACE}**{entry.found.word(ruling)}**" for ruling in entry.found.rulings)
    minutes = _span(round(run.about["cost"]["seconds"] / 60) for run in entry.runs if "seconds" in run.about.get("cost", {}))
    link = f"[{entry.variant}](#{anchor})"
    return link, cell(published), "<br>".join(verdicts), str(len(entry.runs)), minutes or "–"


# ---- a section


def _section(entry: Entry) -> dict[str, Any]:
    return {
        "variant": entry.variant,
        "tests": entry.tests,
        "words": entry.words,
        "sources": ", ".join(f"[{cell(one['title'])}]({one['url']})" for one in entry.words.own.get("sources", [])),
        "setting": [*setting(entry.runs[0].params), *costs(entry.runs)],
        "full": ", ".join(f"`{name}`" for name in entry.words.full),
        "found": entry.found,
        "unexplained": [ruling for ruling in entry.found.rulings if entry.found.word(ruling) in UNEXPLAINED],
    }


def setting(params: dict[str, Any]) -> list[str]:
    """The model and its LoRA, how the steps are trained, and the arms, as phrases."""
    steps = [params["lora"] | params["train"] | own for own in params["curriculum"].values()]
    shapes = dict.fromkeys(_shape(step) for step in steps if step["after"] == ROOT or step.get("adapter") == "fresh")
    optimizers = dict.fromkeys(step["optimizer"] for step in steps)
    iterations, batch, rate = (_span(step[key] for step in steps) for key in ("iters", "batch_size", "learning_rate"))
    arms = all_arms(params)
    return [
        f"{params['base']['model']}, LoRA of {' or '.join(shapes)}",
        f"{iterations} iterations a step, batch size {batch}, {' or '.join(optimizers)}, learning rate {rate}",
        f"{counted(len(arms), 'arm')}: {', '.join(arms)}",
    ]


def _shape(step: dict[str, Any]) -> str:
    blocks = "all blocks" if step["layers"] == -1 else f"the last {counted(step['layers'], 'block')}"
    return f"rank {step['rank']} and scale {step['scale']:g} on {blocks}"


def _span(numbers: Iterable[float]) -> str:
    """The least and the greatest of some numbers, the number if it is one, or ""."""
    found = sorted(set(numbers))
    return " to ".join(f"{number:g}" for number in dict.fromkeys([*found[:1], *found[-1:]]))
