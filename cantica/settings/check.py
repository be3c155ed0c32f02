"""Check a whole params.yaml: against its schema, and then what a schema cannot express.

The package `settings` knows how the sections of params.yaml belong together: the curriculum as a tree, and the files that the
stages write for it. It is separate from `core` because every stage depends on `core`, and a change here must not rerun all
stages.
"""

from pathlib import Path

from cantica.core.documents import raise_any, validate
from cantica.core.errors import Problem, did_you_mean
from cantica.settings.base_config import head_faults, layer_faults
from cantica.settings.tree import tree_faults


def check_params(params: dict, file: Path) -> None:
    """Raise InputError with every fault of params.

    Beyond the schema, the curriculum must be a tree, names of steps, mixes and categories must exist, pairwise judges need
    two arms, and the config of a random base model must be valid.
    """
    validate(params, "params", file)
    checks = (tree_faults, _category_faults, _judge_faults, _base_faults)
    raise_any([problem for check in checks for problem in check(params, str(file))])


def _category_faults(params: dict, file: str) -> list[Problem]:
    """Return a Problem for each unknown category in the repairs and in the severities of the audit."""
    known = list(params["categories"])
    named = {"data.repairs": params["data"]["repairs"], "audit.categories": params["audit"]["categories"]}
    wrong = [(place, name) for place, names in named.items() for name in names if name not in known]
    expected = f"a category: {', '.join(known)}"
    return [Problem(file, place, repr(name), expected, did_you_mean(name, known)) for place, name in wrong]


def _judge_faults(params: dict, file: str) -> list[Problem]:
    """Return a Problem for each pairwise judge if there are fewer than two arms to compare."""
    pairwise = [name for name, judge in params["judges"].items() if judge["kind"] == "pairwise"]
    expected = "at least two arms for a pairwise judge"
    too_few = len(params["arms"]) < 2
    return [Problem(file, f"judges.{name}.kind", f"{len(params['arms'])} arm", expected) for name in pairwise if too_few]


def _base_faults(params: dict, file: str) -> list[Problem]:
    """Return the faults of the config of a random base model. The config of any other model is not in params."""
    if params["base"]["source"] != "random":
        return []
    config = params["base"]["random"]["config"]
    return head_faults(config, file, "base.random.config") + layer_faults(params, config, file)
