"""Folders that several stages write into, and that later stages read as a whole: what belongs there, by params.yaml.

`_names.json` in each lists it. What the list of an earlier build names and params.yaml does not is removed by `check`.
"""

import shutil
from pathlib import Path

from cantica.core.documents import raise_any, read_json
from cantica.core.errors import Problem
from cantica.core.files import as_json, write_text
from cantica.settings.tree import ROOT

NAMES = "_names.json"  # no name in params.yaml begins so


def clear_away(params: dict, data: Path, adapters: Path) -> None:
    """Remove what earlier builds named and params do not, and write down what belongs in each folder.

    Raises InputError, and removes nothing, where a folder holds what nobody named.
    """
    folders = shared_folders(params, data, adapters)
    raise_any([problem for folder, names in folders.items() for problem in unnamed(folder, names)])
    for folder, names in folders.items():
        for name in set(_earlier(folder)) - set(names):
            _remove(folder / name)
    for path, text in lists(params, data, adapters).items():
        write_text(path, text)


def shared_folders(params: dict, data: Path, adapters: Path) -> dict[Path, list[str]]:
    """The folders that several stages write into, each with the names of what belongs there, in order."""
    steps, points = params["curriculum"], [ROOT, *params["curriculum"]]
    folders = {
        data / "categories": _files(params["categories"], ".json"),
        data / "scenarios": _files(params["categories"], ".jsonl"),
        data / "train": _files(params["categories"], ".jsonl"),
        data / "valid": _files(params["categories"], ".jsonl"),
        data / "mixes": _files(params["mixes"], ".jsonl"),
        data / "training": _files(steps, ".json"),
        data / "losses": _files(points, ".json"),
        data / "responses": _files(params["arms"], ".jsonl"),
        data / "judgements": [*_files(params["arms"], ".jsonl"), "models"],
        data / "judgements/models": _files(params["judges"], ".jsonl"),
        data / "probes": _files(params["arms"], ".jsonl"),
        data / "capability": _files(params["arms"], ".jsonl"),
        adapters: list(points),
    }
    return {folder: sorted(names) for folder, names in folders.items()}


def lists(params: dict, data: Path, adapters: Path) -> dict[Path, str]:
    """The text of each file that this stage writes, by path: a function of the names in params alone."""
    folders = shared_folders(params, data, adapters)
    names = {folder / NAMES: as_json(names) for folder, names in folders.items()}
    return {data / "categories.json": as_json(list(params["categories"])), **names}


def unnamed(folder: Path, names: list[str]) -> list[Problem]:
    """A Problem for each file in a shared folder that neither params.yaml nor an earlier build names."""
    known = {*names, *_earlier(folder), NAMES}
    there = sorted(path.name for path in folder.glob("[!.]*"))
    hint = "move it to another folder: stages read this one as a whole"
    expected = f"what params.yaml names: {', '.join(names) or 'nothing'}"
    return [
        Problem(str(folder / name), "", "a file that no stage writes", expected, hint) for name in there if name not in known
    ]


def _files(names, ending: str) -> list[str]:
    return [f"{name}{ending}" for name in names]


def _earlier(folder: Path) -> list[str]:
    """What the last build in this working tree named in a folder."""
    return read_json(folder / NAMES) if (folder / NAMES).exists() else []


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
