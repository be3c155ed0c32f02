"""Check params.yaml and its claims before anything is built, and remove outputs of items that it no longer names.

    python -m stages.check params.yaml prompts data models/adapters

Later stages depend on whole folders, so files of an earlier build would be part of their input. The removed files are still
in DVC's cache. `data/categories.json`, `data/arms.json` and `data/claims.json` list the names of the categories, arms and
claims in their order.
"""

from pathlib import Path

from cantica.core.command import run
from cantica.core.documents import raise_any, read_yaml
from cantica.judging.held_out import load_prompts
from cantica.judging.rules import load_rules
from cantica.probes.behaviour_files import chosen, load_behaviours
from cantica.probes.behaviours import paths
from cantica.probes.pairs import load_pairs
from cantica.settings.check import check_params
from cantica.settings.measure_faults import measure_faults
from cantica.settings.measures import texts_of
from cantica.settings.shared import clear_away


def main(params: Path, prompts: Path, data: Path, adapters: Path) -> None:
    document = read_yaml(params)
    check_params(document, params)
    behaviours = chosen(load_behaviours(prompts / "probes/behaviours"), document["probe"]["behaviours"], params)
    measured = {name: paths(behaviour) for name, behaviour in behaviours.items()}
    questions, rules = load_prompts(prompts / "held_out"), load_rules(prompts / "judge/rules.yaml")
    texts = texts_of(document, questions, rules, load_pairs(prompts / "probes/pairs"), measured)
    raise_any(measure_faults(document, texts, str(params)))
    clear_away(document, data, adapters)


if __name__ == "__main__":
    run(main)
