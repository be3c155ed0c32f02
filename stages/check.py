"""Check params.yaml before anything is built, and remove outputs of items that it no longer names.

    python -m stages.check params.yaml prompts data models/adapters

Later stages depend on whole folders, so files of an earlier build would be part of their input. The removed files are still
in DVC's cache. `data/categories.json`, `data/arms.json` and `data/claims.json` list the names of the categories, arms and
claims in their order.
"""

from pathlib import Path

from cantica.core.command import run
from cantica.core.documents import read_yaml
from cantica.probes.behaviours import chosen, load_behaviours
from cantica.settings.check import check_params
from cantica.settings.shared import clear_away


def main(params: Path, prompts: Path, data: Path, adapters: Path) -> None:
    document = read_yaml(params)
    check_params(document, params)
    chosen(load_behaviours(prompts / "probes/behaviours"), document["probe"]["behaviours"], params)
    clear_away(document, data, adapters)


if __name__ == "__main__":
    run(main)
