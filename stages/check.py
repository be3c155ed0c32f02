"""Refuse a params.yaml that cannot be built, before anything is, and write down which categories there are.

    python -m stages.check params.yaml data/categories.json

What needs the names of the categories reads them there, so that it is not built again when their counts change.
"""

from pathlib import Path

from stages.lib.common.command import run
from stages.lib.common.documents import raise_any, read_yaml, validate
from stages.lib.common.errors import Problem
from stages.lib.common.files import write_json
from stages.lib.tree import tree_faults


def main(params: Path, categories: Path) -> None:
    document = read_yaml(params)
    check_params(document, params)
    write_json(categories, list(document["categories"]))


def check_params(params: dict, file: Path) -> None:
    """Raise InputError with every fault: what the schema forbids, a curriculum that is not a tree, a judge without a task."""
    validate(params, "params", file)
    raise_any(tree_faults(params, str(file)) + _judge_faults(params, str(file)))


def _judge_faults(params: dict, file: str) -> list[Problem]:
    """A pairwise judge compares arms, so there must be two."""
    pairwise = [name for name, judge in params["judges"].items() if judge["kind"] == "pairwise"]
    expected = "two arms or more for a pairwise judge"
    alone = len(params["arms"]) < 2
    return [Problem(file, f"judges.{name}.kind", f"{len(params['arms'])} arm", expected) for name in pairwise if alone]


if __name__ == "__main__":
    run(main)
