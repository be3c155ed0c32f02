"""Refuse a params.yaml that cannot be built, before anything is, and clear away what it no longer names.

    python -m stages.check params.yaml data models/adapters

Later stages depend on whole folders, so what an earlier build left there would be part of their input; DVC's cache keeps it.
`data/categories.json` lists the categories in their order, for what does not need their counts.
"""

from pathlib import Path

from cantica.core.command import run
from cantica.core.documents import read_yaml
from cantica.settings.check import check_params
from cantica.settings.shared import clear_away


def main(params: Path, data: Path, adapters: Path) -> None:
    document = read_yaml(params)
    check_params(document, params)
    clear_away(document, data, adapters)


if __name__ == "__main__":
    run(main)
