"""Read YAML, JSON and JSON Lines, and validate them against a JSON Schema in `schemas/`."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from cantica.core.errors import InputError, Problem, did_you_mean


class Validator(Protocol):
    """A JSON Schema that documents are checked against: a validator of the library `jsonschema`."""

    schema: dict

    def iter_errors(self, document: object) -> Iterable[Any]:
        """Yield an error for each fault."""


def read_yaml(path: Path) -> Any:
    """Return the YAML 1.2 document in a file, read as DVC reads `params.yaml`. Raises InputError."""
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
    raise_any(_key_faults(document, str(path)))
    return document


def _key_faults(document: object, file: str, place: str = "") -> list[Problem]:
    """Return a Problem for each key that is not a string. JSON has only string keys, so a schema cannot check the others."""
    if isinstance(document, list):
        return [p for n, item in enumerate(document) for p in _key_faults(item, file, f"{place}.{n}".lstrip("."))]
    if not isinstance(document, dict):
        return []
    wrong = [Problem(file, place, f"the key {key!r}", "a string") for key in document if not isinstance(key, str)]
    return wrong + [p for key, item in document.items() for p in _key_faults(item, file, f"{place}.{key}".lstrip("."))]


def read_json(path: Path) -> Any:
    """Return the JSON document in a file. Raises InputError."""
    return _parse_json(read_text(path), path)


def read_jsonl(path: Path) -> list[Any]:
    """Return the records of a JSON Lines file, one per line. No line is skipped: a bad one raises InputError."""
    return list(iterate_jsonl(path))


def iterate_jsonl(path: Path) -> Iterator[Any]:
    """Like `read_jsonl`, but yield one record at a time."""
    with _readable(path), open(path, encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, 1):
            yield _parse_json(line.removesuffix("\n"), path, number)


def read_text(path: Path) -> str:
    """Return the UTF-8 text of a file. Raises InputError."""
    with _readable(path):
        return Path(path).read_text(encoding="utf-8")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn errors of opening, reading or decoding a file into an InputError."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(Problem(str(path), "", "no such file", "a readable file")) from None
    except OSError as error:
        raise InputError(Problem(str(path), "", str(error.strerror), "a readable file")) from None
    except UnicodeDecodeError as error:
        raise InputError(Problem(str(path), f"byte {error.start}", "bytes that are not UTF-8", "UTF-8 text")) from None


def _parse_json(text: str, path: Path, line: int | None = None) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {line or error.lineno}, column {error.colno}"
        raise InputError(Problem(str(path), place, json_fault(text, error), "well-formed JSON")) from None


def json_fault(text: str, error: json.JSONDecodeError) -> str:
    """Describe why a text is not JSON."""
    return error.msg if text.strip() else "a blank line"


def validate(document: object, schema: str, file: Path | str) -> None:
    """Validate a document against `schemas/<schema>.schema.json`. Raises InputError with every fault."""
    raise_any(faults(document, validator(schema), file))


def validate_records(records: list, schema: str, file: Path | str) -> None:
    """Validate each record of a JSON Lines file. Raises InputError with the first 50 faults and their lines."""
    for _ in validated(records, schema, file):
        pass


def validated(records: Iterable, schema: str, file: Path | str) -> Iterator[Any]:
    """Yield the records of a JSON Lines file. After the last one, raise InputError with the first 50 faults, if any."""
    check = validator(schema)
    found: list[Problem] = []
    for number, record in enumerate(records, 1):
        if len(found) < 50:
            found += faults(record, check, file, f"line {number}")
        yield record
    raise_any(found)


def repeated_ids(items: Sequence[Mapping[str, object]], file: Path | str) -> list[Problem]:
    """Return a Problem for each `id` that several items share."""
    counts = Counter(str(item["id"]) for item in items)
    return [Problem(str(file), id_, f"an id used {n} times", "a unique id") for id_, n in counts.items() if n > 1]


def raise_any(problems: list[Problem]) -> None:
    """Raise one InputError with all the problems, if there are any."""
    if problems:
        raise InputError(*problems)


def validator(schema: str) -> Validator:
    """Return a validator for `schemas/<schema>.schema.json`."""
    return validator_of(json.loads(Path("schemas", f"{schema}.schema.json").read_text(encoding="utf-8")))


def validator_of(schema: dict) -> Validator:
    """Return a validator for a JSON Schema of draft 2020-12."""
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema)


def faults(document: object, check: Validator, file: Path | str, within: str = "") -> list[Problem]:
    """Return a Problem for each error that a validator finds in a document, sorted by place.

    NaN and the infinities are always faults: JSON has no such numbers, and NaN passes a schema's bounds.
    within: where the document is in the file, such as "line 3". The place of each Problem begins with it.
    """
    not_finite = dict(_not_finite(document))
    errors = sorted(check.iter_errors(document), key=lambda error: [str(key) for key in error.absolute_path])
    found = [Problem(str(file), _place(within, path), str(number), "a finite number") for path, number in not_finite.items()]
    for error in errors:
        if (*error.absolute_path,) not in not_finite:
            found += _problems(error, str(file), within)
    return found


def _not_finite(document: object, path: tuple = ()) -> Iterator[tuple[tuple, float]]:
    """Yield (path of keys, number) for each number in a document that is NaN or infinite."""
    if isinstance(document, float) and not math.isfinite(document):
        yield path, document
    elif isinstance(document, dict | list):
        for key, item in document.items() if isinstance(document, dict) else enumerate(document):
            yield from _not_finite(item, (*path, key))


def _place(within: str, path: Iterable) -> str:
    return " ".join(filter(None, [within, ".".join(map(str, path))]))


def _problems(error: Any, file: str, within: str) -> Iterator[Problem]:
    """Yield the Problems for one error of `jsonschema`."""
    place = _place(within, error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = error.schema.get("properties", {})
        patterns = error.schema.get("patternProperties", {})
        # An object whose keys are not fixed has a pattern that every key must match.
        expected = f"one of {', '.join(known)}" if known else f"a key that matches {' or '.join(patterns)}"
        for key in unknown_keys(error):
            yield Problem(file, place, f"an unknown key {key!r}", expected, did_you_mean(key, known))
    elif error.validator == "required":
        key = next(key for key in error.validator_value if error.message.startswith(repr(key)))
        yield Problem(file, place, f"no key {key!r}", _expected(error.schema.get("properties", {}).get(key, {})))
    elif error.validator in ("oneOf", "anyOf") and error.context:
        # The author most likely meant the branch whose error lies deepest.
        deepest = max(error.context, key=lambda e: (len(e.absolute_path), e.validator not in ("const", "type")))
        yield from _problems(deepest, file, within)
    elif error.validator == "enum":
        hint = did_you_mean(str(error.instance), error.validator_value)
        yield Problem(file, place, _short(error.instance), f"one of {', '.join(map(_short, error.validator_value))}", hint)
    else:
        yield Problem(file, place, _short(error.instance), _expected(error.schema, error))


def unknown_keys(error: Any) -> list[str]:
    """Return the keys that an `additionalProperties` error refuses."""
    known, patterns = error.schema.get("properties", {}), error.schema.get("patternProperties", {})
    return [key for key in error.instance if key not in known and not any(re.search(p, str(key)) for p in patterns)]


def _expected(schema: dict, error: Any = None) -> str:
    rule = f"{error.validator}: {_short(error.validator_value)}" if error else f"type: {schema.get('type', 'any')}"
    return f"{schema['description']} ({rule})" if "description" in schema else rule


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    length = len(value if isinstance(value, str) else text)
    return text if len(text) <= 90 else f"{text[:80]}… ({length} characters)"
