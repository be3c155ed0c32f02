"""Import chat records as the scenarios of a category. Every line is checked. Records keep their split or get a new one."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

from cantica.core.documents import Validator, faults, json_fault, raise_any, validator
from cantica.core.errors import InputError, Problem
from cantica.scenarios.scenario import SPLITS, Scenario, Split, scenario_of_messages

# File names that mlx-lm and Hugging Face `datasets` use for each split.
FILES: dict[Split, tuple[str, ...]] = {"train": ("train",), "valid": ("valid", "validation", "val", "test")}
MOST_PROBLEMS = 50  # in one error


def is_import(source: Path) -> bool:
    """Return whether the source of a category consists of chat records. Otherwise it is a folder of templates."""
    return not (source / "category.yaml").is_file()


def import_records(source: Path, category: str, settings: dict, seed: int) -> Iterator[Scenario]:
    """Yield `settings["train"]` and `settings["valid"]` scenarios in the order of the source, each with its file and line.

    If the source has no split, or `settings["split"]` is "redrawn", the seed decides the split. If there are more records
    than these numbers, the seed decides which are used. The source is read twice and never kept in memory. Raises
    InputError with every bad line, or if there are too few records.
    """
    sizes = _check(source)
    wanted: dict[Split, int] = {split: settings[split] for split in SPLITS}
    rng = random.Random(f"{seed}/{category}/import")
    redrawn = None in sizes or settings.get("split", "kept") == "redrawn"
    selected = _new_split(source, sum(sizes.values()), wanted, rng) if redrawn else _own_split(source, sizes, wanted, rng)
    places: dict[Split | None, int] = dict.fromkeys([None, *sizes], 0)
    numbers = dict.fromkeys(wanted, 0)
    for own, origin, text in _lines(source):
        counted_in = None if redrawn else own
        split = selected.get((counted_in, places[counted_in]))
        places[counted_in] += 1
        if split:
            numbers[split] += 1
            yield _scenario(category, split, numbers[split], origin, json.loads(text))


def _check(source: Path) -> dict[Split | None, int]:
    """Return the number of records of each split, where None stands for no split. Raises InputError with every bad line."""
    check = validator("scenario")
    problems: list[Problem] = []
    sizes: dict[Split | None, int] = {}
    for split, origin, text in _lines(source):
        sizes[split] = sizes.get(split, 0) + 1
        if len(problems) < MOST_PROBLEMS:
            problems += _line_faults(text, check, *origin.rsplit(":", 1))
    raise_any(problems)
    return sizes


def _line_faults(text: str, check: Validator, file: str, line: str) -> list[Problem]:
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        got = json_fault(text, error)
        return [Problem(file, f"line {line}, column {error.colno}", got, "a JSON record on every line")]
    if not isinstance(record, dict) or "messages" not in record:
        got = f"a row with the keys {', '.join(record) or 'none'}" if isinstance(record, dict) else "not a JSON object"
        return [Problem(file, f"line {line}", got, "a row with the key messages: the turns of a chat")]
    scenario = _scenario("import", "train", 1, f"{file}:{line}", record)
    return faults(scenario, check, Path(file), f"line {line}")


def _scenario(category: str, split: Split, number: int, origin: str, record: dict) -> Scenario:
    """Return a chat record as a scenario. Of each turn, only role and content are kept."""
    messages = record["messages"]
    if isinstance(messages, list):
        messages = [{k: v for k, v in m.items() if k in ("role", "content")} if isinstance(m, dict) else m for m in messages]
    return scenario_of_messages(category, split, number, origin, messages)


# The records to import: {(own split or None, index of the record within this split): the split that the record gets}.
Selected = dict[tuple[Split | None, int], Split]


def _new_split(source: Path, size: int, wanted: dict[Split, int], rng: random.Random) -> Selected:
    """Select records at random, and give each a split. Raises InputError if there are too few."""
    _check_size(source, size, sum(wanted.values()), "records")
    splits = [split for split, number in wanted.items() for _ in range(number)]
    return {(None, place): split for place, split in zip(rng.sample(range(size), len(splits)), splits, strict=True)}


def _own_split(source: Path, sizes: dict[Split | None, int], wanted: dict[Split, int], rng: random.Random) -> Selected:
    """Select records of each split at random; they keep their split. Raises InputError if there are too few."""
    selected: Selected = {}
    for split, number in wanted.items():
        size = sizes.get(split, 0)
        _check_size(source, size, number, f"records in its {split} split")
        selected |= {(split, place): split for place in rng.sample(range(size), number)}
    return selected


def _check_size(source: Path, size: int, wanted: int, records: str) -> None:
    if size < wanted:
        hint = "lower the category's counts in params.yaml, or set split: redrawn"
        raise InputError(Problem(str(source), "", f"{size} {records}", f"at least {wanted}", hint))


def _lines(source: Path) -> Iterator[tuple[Split | None, str, str]]:
    """Yield (split or None, `file:line`, JSON text) of every record, file by file."""
    if (source / "dataset_dict.json").is_file() or (source / "state.json").is_file():
        yield from _saved_dataset(source)
        return
    for split, file in _files(source):
        try:
            with file.open(encoding="utf-8", newline="\n") as opened:
                for number, text in enumerate(opened, 1):
                    yield split, f"{file.as_posix()}:{number}", text.removesuffix("\n")
        except UnicodeDecodeError as error:
            raise InputError(Problem(str(file), f"byte {error.start}", "bytes that are not UTF-8", "UTF-8 text")) from None


def _files(source: Path) -> list[tuple[Split | None, Path]]:
    """Return (split or None, file) for each file of the source. Raises InputError if there is none."""
    if source.is_file():
        return [(None, source)]
    files = sorted(source.glob("*.jsonl"))
    if not files:
        hint = "if DVC tracks the file, fetch it with `dvc pull`"
        expected = "templates (category.yaml), a .jsonl file, a folder of them, or a folder that Hugging Face `datasets` saved"
        raise InputError(Problem(str(source), "", "nothing to read" if source.exists() else "no such file", expected, hint))
    with_split: list[tuple[Split | None, Path]] = [
        (split, file) for split, names in FILES.items() for file in files if file.stem in names
    ]
    return with_split or [(None, file) for file in files]


def _saved_dataset(source: Path) -> Iterator[tuple[Split | None, str, str]]:
    """Yield what `_lines` yields, for a folder that Hugging Face `datasets` saved."""
    try:
        from datasets import DatasetDict, load_from_disk
    except ImportError:
        hint = "pip install --constraint requirements.lock '.[datasets]'"
        raise InputError(
            Problem(str(source), "", "the package `datasets` is not installed", "the package, to read this folder", hint)
        ) from None
    saved = load_from_disk(str(source))
    parts = saved.items() if isinstance(saved, DatasetDict) else [(None, saved)]
    for name, part in parts:
        split = next((split for split, names in FILES.items() if name in names), None)
        for number, record in enumerate(part, 1):
            place = f"{source.as_posix()}/{name}" if name else source.as_posix()
            yield split, f"{place}:{number}", json.dumps(record, ensure_ascii=False, default=str)
