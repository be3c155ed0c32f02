"""The folders that several stages write into. Later stages depend on a whole folder, so it may contain nothing else.

params.yaml decides which names belong in each folder; `_names.json` in the folder lists them. The stage `check` removes
the files that the list of an earlier build names and params.yaml does not name any more.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from cantica.core.documents import raise_any, read_json
from cantica.core.errors import Problem
from cantica.core.files import as_json, write_text
from cantica.settings.arms import all_arms
from cantica.settings.tree import ROOT
from cantica.settings.tree_faults import SAMPLES

NAMES = "_names.json"  # names in params.yaml cannot begin with an underscore


def clear_away(params: dict, data: Path, adapters: Path) -> None:
    """Remove outputs of earlier builds that params no longer name, and write the list of names of each folder.

    Raises InputError, and removes nothing, if a folder holds a file that no build has named.
    """
    folders = shared_folders(params, data, adapters)
    raise_any([problem for folder, names in folders.items() for problem in unknown_files(folder, names)])
    for folder, names in folders.items():
        for name in set(_earlier_names(folder)) - set(names):
            _remove(folder / name)
    for path, text in lists(params, data, adapters).items():
        write_text(path, text)


def shared_folders(params: dict, data: Path, adapters: Path) -> dict[Path, list[str]]:
    """Return {folder: the sorted names of the files that belong there} for each folder that several stages write into."""
    steps, points = params["curriculum"], [ROOT, *params["curriculum"]]
    samples = [name for section in SAMPLES for name in params[section]]
    arms, points_of_arms = all_arms(params), list(params["arms"])
    folders = {
        data / "categories": _files(params["categories"], ".json"),
        data / "scenarios": _files(params["categories"], ".jsonl"),
        data / "train": _files(params["categories"], ".jsonl"),
        data / "valid": _files(params["categories"], ".jsonl"),
        data / "mixes": _files(params["mixes"], ".jsonl"),
        data / "samples": _files(samples, ".jsonl"),
        data / "sampling": _files(samples, ".json"),
        data / "training": _files(steps, ".json"),
        data / "losses": [*_files(points, ".json"), "rest"],
        data / "losses/rest": _files(params["measure"]["in_full"], ".json"),
        data / "responses": _files(arms, ".jsonl"),
        data / "judgements": [*_files(arms, ".jsonl"), "models"],
        data / "judgements/models": _files(params["judges"], ".jsonl"),
        data / "probes": _files(points_of_arms, ".jsonl"),
        data / "capability": _files(points_of_arms, ".jsonl"),
        adapters: list(points),
    }
    return {folder: sorted(names) for folder, names in folders.items()}


def lists(params: dict, data: Path, adapters: Path) -> dict[Path, str]:
    """Return {path: text} of the files that `check` writes. They depend only on the names in params."""
    folders = shared_folders(params, data, adapters)
    names = {folder / NAMES: as_json(names) for folder, names in folders.items()}
    # The orders that matter. DVC compares mappings of params without their order.
    ordered = {"categories": list(params["categories"]), "arms": all_arms(params), "claims": list(params["claims"])}
    orders = {data / f"{section}.json": order for section, order in ordered.items()}
    return {path: as_json(order) for path, order in orders.items()} | names


def unknown_files(folder: Path, names: list[str]) -> list[Problem]:
    """Return a Problem for each file in a shared folder that neither params.yaml nor an earlier build names."""
    known = {*names, *_earlier_names(folder), NAMES}
    found = sorted(path.name for path in folder.glob("[!.]*"))
    hint = "move it to another folder: later stages read this folder as a whole"
    expected = f"only what params.yaml names: {', '.join(names) or 'nothing'}"
    return [
        Problem(str(folder / name), "", "a file that no stage writes", expected, hint) for name in found if name not in known
    ]


def _files(names: Iterable[str], ending: str) -> list[str]:
    return [f"{name}{ending}" for name in names]


def _earlier_names(folder: Path) -> list[str]:
    """Return the names that the last build in this working tree listed for a folder."""
    return read_json(folder / NAMES) if (folder / NAMES).exists() else []


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
