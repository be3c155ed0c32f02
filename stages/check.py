"""Refuse a params.yaml that cannot be built, before anything is.

python -m stages.check params.yaml
"""

from pathlib import Path

from stages.lib.command import run
from stages.lib.documents import raise_any, read_yaml, validate
from stages.lib.tree import tree_faults


def main(params: Path) -> None:
    check_params(read_yaml(params), params)


def check_params(params: dict, file: Path) -> None:
    """Raise InputError with every fault: what the schema forbids, and a curriculum that is not a tree."""
    validate(params, "params", file)
    raise_any(tree_faults(params, str(file)))


if __name__ == "__main__":
    run(main)
