"""Chat records that others made, as scenarios of a category: checked line by line, with the split they have or a new one."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

from cantica.core.documents import faults, json_fault, raise_any, validator
from cantica.core.errors import InputError, Problem

# Names of a split's file, after mlx-lm's and Hugging Face's custom.
FILES = {"train": ("train",), "valid": ("valid", "validation", "val", "test")}
SHOWN = 50  # faults told at once


def is_import(source: Path) -> bool:
    """Whether a category's source is chat records and no folder of templates."""
    return not (source / "category.yaml").is_file()


def import_records(source: Path, category: str, settings: dict, seed: int) -> Iterator[dict]:
    """`settings["train"]` and `settings["valid"]` scenarios of the source, in its order, each with its file and line.

    A source without a split, and one whose split is to be redrawn, is dealt out by the seed; where there are more
    records than wanted, the seed draws which. The source is read twice and never held in memory. Raises InputError
    with every bad line, and when there are too few records.
    """
    sizes = _check(source)
    wanted = {split: settings[split] for split in ("train", "valid")}
    draw = random.Random(f"{seed}/{category}/import")
    redrawn = None in sizes or settings.get("split", "kept") == "redrawn"
    chosen = _dealt(source, sum(sizes.values()), wanted, draw) if redrawn else _kept(source, sizes, wanted, draw)
    places, numbers = dict.fromkeys([None, *sizes], 0), dict.fromkeys(wanted, 0)
    for there, origin, text in _lines(source):
        place = (None if redrawn else there, places[None if redrawn else there])
        places[place[0]] += 1
        if split := chosen.get(place):
            numbers[split] += 1
            yield _scenario(category, split, numbers[split], origin, json.loads(text))


def _check(source: Path) -> dict[str | None, int]:
    """Numbers of records by the split that they have, or None. Raises InputError with every bad line."""
    check, problems, sizes = validator("scenario"), [], {}
    for split, origin, text in _lines(source):
        sizes[split] = sizes.get(split, 0) + 1
        if len(problems) < SHOWN:
            problems += _line_faults(text, check, *origin.rsplit(":", 1))
    raise_any(problems)
    return sizes


def _line_faults(text: str, check, file: str, line: str) -> list[Problem]:
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        got = json_fault(text, error)
        return [Problem(file, f"line {line}, column {error.colno}", got, "a JSON record on every line")]
    if not isinstance(record, dict) or "messages" not in record:
        got = f"a row with the keys {', '.join(record) or 'none'}" if isinstance(record, dict) else "no JSON object"
        return [Problem(file, f"line {line}", got, "a row with the key messages, the turns of a chat")]
    scenario = _scenario("import", "train", 1, f"{file}:{line}", record)
    return faults(scenario, check, Path(file), f"line {line}")


def _scenario(category: str, split: str, number: int, origin: str, record) -> dict:
    """The scenario of a chat record; of what else the record has, nothing is read."""
    messages = record.get("messages") if isinstance(record, dict) else None
    if isinstance(messages, list):
        turns = [{k: v for k, v in m.items() if k in ("role", "content")} if isinstance(m, dict) else m for m in messages]
    else:
        turns = messages
    about = {"id": f"{category}-{split}-{number:03}", "category": category, "split": split, "origin": origin}
    return about | {"messages": turns}


def _dealt(source: Path, size: int, wanted: dict[str, int], draw: random.Random) -> dict[tuple, str]:
    """The new split of each chosen (None, place in the source)."""
    _enough(source, size, sum(wanted.values()), "records")
    splits = [split for split, number in wanted.items() for _ in range(number)]
    return {(None, place): split for place, split in zip(draw.sample(range(size), len(splits)), splits, strict=True)}


def _kept(source: Path, sizes: dict, wanted: dict[str, int], draw: random.Random) -> dict[tuple, str]:
    """The split of each chosen (split, place in it)."""
    chosen = {}
    for split, number in wanted.items():
        size = sizes.get(split, 0)
        _enough(source, size, number, f"records in its {split} split")
        chosen |= {(split, place): split for place in draw.sample(range(size), number)}
    return chosen


def _enough(source: Path, there: int, wanted: int, what: str) -> None:
    if there < wanted:
        hint = "lower the category's counts in params.yaml, or set split: redrawn"
        raise InputError(Problem(str(source), "", f"{there} {what}", f"at least {wanted}", hint))


def _lines(source: Path) -> Iterator[tuple[str | None, str, str]]:
    """(split or None, `file:line`, JSON text) of every record, file by file."""
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


def _files(source: Path) -> list[tuple[str | None, Path]]:
    if source.is_file():
        return [(None, source)]
    files = sorted(source.glob("*.jsonl"))
    if not files:
        hint = "track a file that DVC holds with `dvc pull`"
        expected = "templates (category.yaml), a .jsonl file, a folder of them, or a folder that `datasets` saved"
        raise InputError(Problem(str(source), "", "nothing to read" if source.exists() else "no such file", expected, hint))
    named = [(split, file) for split, names in FILES.items() for file in files if file.stem in names]
    return named or [(None, file) for file in files]


def _saved_dataset(source: Path) -> Iterator[tuple[str | None, str, str]]:
    try:
        from datasets import DatasetDict, load_from_disk
    except ImportError:
        hint = "pip install --constraint requirements.lock '.[datasets]'"
        raise InputError(
            Problem(str(source), "", "the package `datasets` is not installed", "it, for this folder", hint)
        ) from None
    saved = load_from_disk(str(source))
    parts = saved.items() if isinstance(saved, DatasetDict) else [(None, saved)]
    for name, part in parts:
        split = next((split for split, names in FILES.items() if name in names), None)
        for number, record in enumerate(part, 1):
            place = f"{source.as_posix()}/{name}" if name else source.as_posix()
            yield split, f"{place}:{number}", json.dumps(record, ensure_ascii=False, default=str)
