"""Refuse a params.yaml that cannot be built, before anything is, and clear away what it no longer names.

    python -m stages.check params.yaml data models/adapters

Several stages write into one folder, a file or folder for each name in params.yaml, and later stages depend on the folder as a
whole. `_names.json` in it lists what belongs there. What the list of an earlier build names and params.yaml does not is removed
here; DVC has it in its cache. `data/categories.json` lists the categories in their order, for what does not need their counts.
"""

import shutil
from pathlib import Path

from stages.lib.base_config import head_faults, layer_faults
from stages.lib.common.command import run
from stages.lib.common.documents import raise_any, read_json, read_yaml, validate
from stages.lib.common.errors import Problem, did_you_mean
from stages.lib.common.files import as_json, write_text
from stages.lib.tree import ROOT, tree_faults

NAMES = "_names.json"  # no name in params.yaml begins so


def main(params: Path, data: Path, adapters: Path) -> None:
    document = read_yaml(params)
    check_params(document, params)
    folders = shared_folders(document, data, adapters)
    raise_any([problem for folder, names in folders.items() for problem in unnamed(folder, names)])
    for folder, names in folders.items():
        for name in set(_earlier(folder)) - set(names):
            _remove(folder / name)
    for path, text in lists(document, data, adapters).items():
        write_text(path, text)


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


if __name__ == "__main__":
    run(main)
