"""Are claims about measures that a build will have?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cantica.core.errors import Problem
from cantica.core.params import FILE
from cantica.judging.held_out import EvaluationPrompt, load_prompts
from cantica.judging.rubric import Rubric
from cantica.judging.rules import Rules, load_rules
from cantica.probes.behaviour_files import chosen, load_behaviours
from cantica.probes.behaviours import TitledBehaviour, paths
from cantica.probes.pairs import Pair, load_pairs
from cantica.settings.measure_faults import measure_faults
from cantica.settings.measures import texts_of

PROMPTS = Path("prompts")


@dataclass(frozen=True)
class Measured:
    """The texts in prompts/ on which measures depend."""

    prompts: list[EvaluationPrompt]
    rules: Rules
    pairs: list[Pair]
    behaviours: dict[str, TitledBehaviour]


def read_measured() -> Measured:
    """Raises InputError."""
    return Measured(
        load_prompts(PROMPTS / "held_out"),
        load_rules(PROMPTS / "judge/rules.yaml"),
        load_pairs(PROMPTS / "probes/pairs"),
        load_behaviours(PROMPTS / "probes/behaviours"),
    )


def claims_on_measures(params: dict[str, Any], measured: Measured, file: str) -> list[Problem]:
    """The faults of claims on measures. file: where the claims stand. Raises InputError if a behaviour or rubric is wrong."""
    prompts, rules, pairs = measured.prompts, measured.rules, measured.pairs
    behaviours = chosen(measured.behaviours, params["probe"]["behaviours"], FILE)
    rubrics = {judge["rubric"]: Rubric(PROMPTS / "judge" / judge["rubric"]) for judge in params["judges"].values()}
    criteria = {name: {kind: len(own.criteria_of(kind)) for kind in params["held_out"]} for name, own in rubrics.items()}
    found = {name: paths(behaviour) for name, behaviour in behaviours.items()}
    return measure_faults(params, texts_of(params, prompts, rules, pairs, found, criteria), file)
