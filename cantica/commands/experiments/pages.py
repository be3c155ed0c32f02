"""The pages docs/experiments/*.md with their pictures, from the runs that are cited there and the words of their variants.

Pure: the same runs and words always give the same pages.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cantica.commands.comparison.claimed import Variant
from cantica.commands.comparison.claims import Decisions, compared, decisions, variant_of
from cantica.commands.comparison.statements import FILTERS
from cantica.commands.experiments import atlas, matrix, tree
from cantica.commands.experiments.cited import FILES, RUN, Cited
from cantica.commands.experiments.cost import costs
from cantica.commands.experiments.curves import panels
from cantica.commands.experiments.figures import curves_figure, levels_figure
from cantica.commands.experiments.levels import Levels, levels, table
from cantica.commands.experiments.seeds import left_out
from cantica.commands.experiments.tuning import RUNS, history, together
from cantica.commands.experiments.words import Words
from cantica.reporting.pages import render
from cantica.settings.arms import all_arms, description
from cantica.settings.tree_faults import SAMPLES

TEMPLATES = Path(__file__).parents[1] / "templates"
PAGES = RUNS.parent
PICTURES = PAGES / "pictures"


def pages(runs: list[Cited], words: Mapping[str, Words]) -> dict[Path, str]:
    """{path: text} of the page of each variant, of its pictures, and of the list of all. words: by variant."""
    by_variant: dict[str, list[Cited]] = {}
    for run in sorted(runs, key=lambda run: (run.variant, run.about["seed"])):
        by_variant.setdefault(run.variant, []).append(run)
    variants = {name: claimed(own) for name, own in by_variant.items()}
    decided = {name: decisions(name, variants, notes_on(name, by_variant)) for name in variants}
    entries = [atlas.Entry(own, decided[name], words.get(name, Words())) for name, own in by_variant.items()]
    filters = (*FILTERS, rows)
    found = {PAGES / "index.md": render("experiments.md.j2", atlas.facts(entries), filters, TEMPLATES)}
    for entry in entries:
        measured = levels(entry.runs)
        drawn = pictures(entry.runs, measured)
        about = facts(entry.runs, measured, entry.found, entry.words) | {"pictures": [*drawn]}
        found[PAGES / f"{entry.variant}.md"] = render("experiment.md.j2", about, filters, TEMPLATES)
        found |= {PICTURES / f"{entry.variant}-{kind}.svg": picture for kind, picture in drawn.items()}
    return found


def claimed(runs: list[Cited]) -> Variant:
    """What the runs of a variant claim and measured."""
    return variant_of({run.seed: run for run in runs})


def pictures(runs: list[Cited], measured: Levels) -> dict[str, str]:
    """{kind: SVG file} of the pictures of a variant: its tree, levels of arms, and curves if claims are about some."""
    params, curves = runs[0].params, panels(runs)
    drawn = {"tree": tree.picture(params)}
    if measured:
        drawn["levels"] = levels_figure(measured, all_arms(params))
    return drawn | ({"curves": curves_figure(curves, all_arms(params))} if curves else {})


def facts(runs: list[Cited], measured: Levels, found: Decisions, words: Words) -> dict[str, Any]:
    """What the page of a variant shows."""
    first = runs[0]
    return {
        "words": words,
        "levels": table(measured, all_arms(first.params)),
        "with_intervals": any("low" in level.estimate for arms in measured.values() for level in arms.values()),
        "without": any("low" not in level.estimate for arms in measured.values() for level in arms.values()),
        "matrix": matrix.facts(runs),
        "costs": costs(runs),
        "variant": first.variant,
        "tests": first.about["tests"].rstrip("."),
        "commit": first.about["commit"],
        "runs": runs,
        "found": found,
        "sampled": any(first.params[section] for section in SAMPLES),
        "steps": _steps(first.params),
        "arms": [("arm", "what it is"), *((arm, description(first.params, arm)) for arm in all_arms(first.params))],
        "seeds": [("seed", "built", "files"), *((run.seed, run.about["built"], _files(run)) for run in runs)],
    }


def notes_on(name: str, by_variant: dict[str, list[Cited]]) -> list[str]:
    """When gates and bounds were fixed, which seeds are not shown, and which variants were built from another commit."""
    first, *_ = own = by_variant[name]
    against = {other for claim in claimed(own).claims.values() for other in (s.variant for s in claim.statements)}
    others = [whole for other, whole in sorted(compared(name, by_variant).items()) if other in against]
    commits = {other: by_variant[other][0].about["commit"] for other in others}
    return [
        history(together([run.tuning for run in own])),
        *left_out([run.about["seed"] for run in own], [seed for run in own for seed in run.about.get("seeds_built", [])]),
        *(
            f"The runs of {other} were built from another commit, {commit[:7]}: more than the variant may differ."
            for other, commit in commits.items()
            if commit != first.about["commit"]
        ),
    ]


def _steps(params: dict[str, Any]) -> list[Sequence[str]]:
    """The tree of steps as a table."""
    found: list[Sequence[str]] = [("step", "after", "trained on", "iterations")]
    for step, own in params["curriculum"].items():
        found.append((step, own["after"], own["data"], str(own.get("iters", params["train"]["iters"]))))
    return found


def _files(run: Cited) -> str:
    return ", ".join(f"[{name}](runs/{run.variant}/{run.seed}/{name})" for name in (RUN, *FILES))


def rows(table: Sequence[Sequence[str]]) -> str:
    """A table in Markdown. The first row has the titles."""
    head, *rest = (f"| {' | '.join(row)} |" for row in table)
    return "\n".join([head, f"|{' --- |' * len(table[0])}", *rest])
