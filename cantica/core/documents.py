"""Read YAML, JSON and JSON Lines, and hold them against a JSON Schema in `schemas/`."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cantica.core.errors import InputError, Problem, did_you_mean


def read_yaml(path: Path):
    """The YAML 1.2 document in a file, read as DVC reads `params.yaml`. Raises InputError."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        document = YAML(typ="safe").load(read_text(path))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(Problem(str(path), place, str(error.problem), "well-formed YAML 1.2")) from None
    except YAMLError as error:
        raise InputError(Problem(str(path), "", " ".join(str(error).split()), "well-formed YAML 1.2")) from None
    raise_any(_odd_keys(document, str(path)))
    return document


def _odd_keys(document, file: str, place: str = "") -> list[Problem]:
    """A Problem for each key that is no string: JSON, and so a schema, has none."""
    if isinstance(document, list):
        return [p for n, item in enumerate(document) for p in _odd_keys(item, file, f"{place}.{n}".lstrip("."))]
    if not isinstance(document, dict):
        return []
    odd = [Problem(file, place, f"the key {key!r}", "a string") for key in document if not isinstance(key, str)]
    return odd + [p for key, item in document.items() for p in _odd_keys(item, file, f"{place}.{key}".lstrip("."))]


def read_json(path: Path):
    """The JSON document in a file. Raises InputError."""
    return _parse_json(read_text(path), path)


def read_jsonl(path: Path) -> list:
    """The records of a JSON Lines file, one a line. No line is skipped: a bad one raises InputError."""
    return list(iterate_jsonl(path))


def iterate_jsonl(path: Path) -> Iterator:
    """`read_jsonl`, one record at a time."""
    with _readable(path), open(path, encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, 1):
            yield _parse_json(line.removesuffix("\n"), path, number)


def read_text(path: Path) -> str:
    """The UTF-8 text of a file. Raises InputError."""
    with _readable(path):
        return Path(path).read_text(encoding="utf-8")


@contextmanager
def _readable(path: Path):
    """Tell what keeps a file from being read as an InputError."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(Problem(str(path), "", "no such file", "a readable file")) from None
    except OSError as error:
        raise InputError(Problem(str(path), "", str(error.strerror), "a readable file")) from None
    except UnicodeDecodeError as error:
        raise InputError(Problem(str(path), f"byte {error.start}", "bytes that are not UTF-8", "UTF-8 text")) from None


def _parse_json(text: str, path: Path, line: int | None = None):
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {line or error.lineno}, column {error.colno}"
        raise InputError(Problem(str(path), place, json_fault(text, error), "well-formed JSON")) from None


def json_fault(text: str, error: json.JSONDecodeError) -> str:
    """What is wrong with a text that is no JSON, in words."""
    return error.msg if text.strip() else "a blank line"


def validate(document, schema: str, file: Path) -> None:
    """Raise InputError with every fault of a document that `schemas/<schema>.schema.json` finds."""
    raise_any(faults(document, validator(schema), file))


def validate_records(records: list, schema: str, file: Path) -> None:
    """`validate` for each record of a JSON Lines file; places begin with the record's line."""
    for _ in validated(records, schema, file):
        pass


def validated(records: Iterable, schema: str, file: Path) -> Iterator:
    """The records of a JSON Lines file, one at a time; after the last, an InputError with every fault (the first 50)."""
    check, found = validator(schema), []
    for number, record in enumerate(records, 1):
        if len(found) < 50:
            found += faults(record, check, file, f"line {number}")
        yield record
    raise_any(found)


def repeated_ids(items: list[dict], file: Path) -> list[Problem]:
    """A Problem for each `id` that more than one of the items has."""
    counts = Counter(item["id"] for item in items)
    return [Problem(str(file), id_, f"an id used {n} times", "an id of its own") for id_, n in counts.items() if n > 1]


def raise_any(problems: list[Problem]) -> None:
    """Raise one InputError for all the problems, if there are any."""
    if problems:
        raise InputError(*problems)


def validator(schema: str):
    """A `jsonschema` validator for `schemas/<schema>.schema.json`."""
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(Path("schemas", f"{schema}.schema.json").read_text(encoding="utf-8")))


def faults(document, check, file: Path, within: str = "") -> list[Problem]:
    """One Problem for each error that the validator `check` finds in a document, in order of place.

    NaN and the infinities are faults wherever they are: JSON has no such numbers, and a schema's bounds let NaN pass.
    """
    endless = dict(_not_finite(document))
    errors = sorted(check.iter_errors(document), key=lambda error: [str(key) for key in error.absolute_path])
    odd = [Problem(str(file), _place(within, path), str(number), "a finite number") for path, number in endless.items()]
    return odd + [
        problem for error in errors if (*error.absolute_path,) not in endless for problem in _problems(error, str(file), within)
    ]


def _not_finite(document, path: tuple = ()) -> Iterator[tuple[tuple, float]]:
    """(path of keys, number) of each number in a document that is not finite."""
    if isinstance(document, float) and not math.isfinite(document):
        yield path, document
    elif isinstance(document, dict | list):
        for key, item in document.items() if isinstance(document, dict) else enumerate(document):
            yield from _not_finite(item, (*path, key))


def _place(within: str, path: Iterable) -> str:
    return " ".join(filter(None, [within, ".".join(map(str, path))]))


def _problems(error, file: str, within: str):
    place = _place(within, error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = error.schema.get("properties", {})
        patterns = error.schema.get("patternProperties", {})
        # An object without fixed keys refuses one because of how it is spelt.
        expected = f"one of {', '.join(known)}" if known else f"a key that matches {' or '.join(patterns)}"
        for key in unknown_keys(error):
            yield Problem(file, place, f"an unknown key {key!r}", expected, did_you_mean(key, known))
    elif error.validator == "required":
        key = next(key for key in error.validator_value if error.message.startswith(repr(key)))
        yield Problem(file, place, f"no key {key!r}", _expected(error.schema.get("properties", {}).get(key, {})))
    elif error.validator in ("oneOf", "anyOf") and error.context:
        # The branch that got furthest is the one that was meant.
        deepest = max(error.context, key=lambda e: (len(e.absolute_path), e.validator not in ("const", "type")))
        yield from _problems(deepest, file, within)
    elif error.validator == "enum":
        hint = did_you_mean(str(error.instance), error.validator_value)
        yield Problem(file, place, _short(error.instance), f"one of {', '.join(map(_short, error.validator_value))}", hint)
    else:
        yield Problem(file, place, _short(error.instance), _expected(error.schema, error))


def unknown_keys(error) -> list[str]:
    """Keys that an `additionalProperties` error is about."""
    known, patterns = error.schema.get("properties", {}), error.schema.get("patternProperties", {})
    return [key for key in error.instance if key not in known and not any(re.search(p, str(key)) for p in patterns)]


def _expected(schema: dict, error=None) -> str:
    rule = f"{error.validator}: {_short(error.validator_value)}" if error else f"type: {schema.get('type', 'any')}"
    return f"{schema['description']} ({rule})" if "description" in schema else rule


def _short(value) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    length = len(value if isinstance(value, str) else text)
    return text if len(text) <= 90 else f"{text[:80]}… ({length} characters)"
