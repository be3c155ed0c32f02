"""What no params.yaml may say, beside what its schema forbids."""

from pathlib import Path

from cantica.core.documents import raise_any, validate
from cantica.core.errors import Problem, did_you_mean
from cantica.settings.base_config import head_faults, layer_faults
from cantica.settings.tree import tree_faults


def check_params(params: dict, file: Path) -> None:
    """Raise InputError with every fault: what the schema forbids, a curriculum that is not a tree, names of nothing, a judge
    without a task, a base model of random weights that cannot be, or has too few blocks.
    """
    validate(params, "params", file)
    kinds = (tree_faults, _category_faults, _judge_faults, _base_faults)
    raise_any([problem for faults in kinds for problem in faults(params, str(file))])


def _category_faults(params: dict, file: str) -> list[Problem]:
    """Repairs and severities for a category that there is not."""
    there = list(params["categories"])
    named = {"data.repairs": params["data"]["repairs"], "audit.categories": params["audit"]["categories"]}
    wrong = [(place, name) for place, names in named.items() for name in names if name not in there]
    expected = f"a category: {', '.join(there)}"
    return [Problem(file, place, repr(name), expected, did_you_mean(name, there)) for place, name in wrong]


def _judge_faults(params: dict, file: str) -> list[Problem]:
    """A pairwise judge compares arms, so there must be two."""
    pairwise = [name for name, judge in params["judges"].items() if judge["kind"] == "pairwise"]
    expected = "two arms or more for a pairwise judge"
    alone = len(params["arms"]) < 2
    return [Problem(file, f"judges.{name}.kind", f"{len(params['arms'])} arm", expected) for name in pairwise if alone]


def _base_faults(params: dict, file: str) -> list[Problem]:
    """What the config of a random base model rules out; any other model's is not in params."""
    if params["base"]["source"] != "random":
        return []
    config = params["base"]["random"]["config"]
    return head_faults(config, file, "base.random.config") + layer_faults(params, config, file)
