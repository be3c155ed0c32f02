"""Check params.yaml before anything is built, and remove outputs of items that it no longer names.

    python -m stages.check params.yaml data models/adapters

Later stages depend on whole folders, so files of an earlier build would be part of their input. The removed files are still
in DVC's cache. `data/categories.json` and `data/arms.json` list the names of the categories and of the arms in their order.
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
