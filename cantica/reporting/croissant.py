"""Croissant metadata of a dataset of chat examples: which files it has, and which fields their records have.

Croissant (https://docs.mlcommons.org/croissant/docs/croissant-spec.html, version 1.0) is JSON-LD that dataset search and
loaders such as `mlcroissant` read. It asks for a date of publication too; there is none, since the same inputs give the same
bytes.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Document = dict[str, Any]

# The standard context of version 1.0, word by word.
PLAIN = (
    *("citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet", "format"),
    *("includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex"),
    *("repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "sc": "https://schema.org/",
} | {name: f"cr:{name}" for name in PLAIN}
FIELDS = {
    "id": "the name of the example, unique in the dataset",
    "category": "the category that the example belongs to",
    "sample": "the name of the sample that the example belongs to",
    "origin": "where the example comes from: a template with its case, a line of an import, or a prompt that a model answered",
}
MESSAGE = {"role": "system, user or assistant", "content": "the text of the message"}


@dataclass(frozen=True)
class DataFile:
    """A file of JSON Lines: its path in the dataset, its size in bytes, its hash and its number of records."""

    path: str
    size: int
    sha256: str
    records: int


@dataclass(frozen=True)
class RecordSet:
    """The records of one file. fields: the names of those that hold a text; `messages` follows them."""

    name: str
    description: str
    path: str
    fields: tuple[str, ...]


def data_files(folder: Path) -> list[DataFile]:
    """Return all files of JSON Lines in a folder, sorted by path."""
    found = []
    for path in sorted(folder.rglob("*.jsonl")):
        digest, size, records = hashlib.sha256(), 0, 0
        with path.open("rb") as file:
            for records, line in enumerate(file, 1):  # noqa: B007
                digest.update(line)
                size += len(line)
        found.append(DataFile(path.relative_to(folder).as_posix(), size, digest.hexdigest(), records))
    return found


def croissant(
    name: str, description: str, licences: Iterable[str], files: list[DataFile], record_sets: list[RecordSet]
) -> Document:
    """Return the metadata of a dataset. A record set whose file has no record is left out."""
    records, distinct = {file.path: file.records for file in files}, list(dict.fromkeys(licences))
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": description,
        "license": distinct[0] if len(distinct) == 1 else distinct,
        "distribution": [file_object(file) for file in files],
        "recordSet": [described(own, records[own.path]) for own in record_sets if records[own.path]],
    }


def file_object(file: DataFile) -> Document:
    """Return a file as Croissant describes it."""
    return {
        "@type": "cr:FileObject",
        "@id": file.path,
        "name": file.path,
        "contentUrl": file.path,
        "contentSize": f"{file.size} B",
        "encodingFormat": "application/jsonlines",
        "sha256": file.sha256,
    }


def described(own: RecordSet, records: int) -> Document:
    """Return a record set as Croissant describes it: a field for each key of its records, and two in each message."""
    messages = {
        "@type": "cr:Field",
        "@id": f"{own.name}/messages",
        "name": "messages",
        "description": "the conversation, which ends with the answer to learn",
        "repeated": True,
        "subField": [_field(own, f"messages/{key}", text, "messages", key) for key, text in MESSAGE.items()],
    }
    return {
        "@type": "cr:RecordSet",
        "@id": own.name,
        "name": own.name,
        "description": f"{own.description}: {records} records",
        "key": {"@id": f"{own.name}/id"},
        "field": [*(_field(own, key, FIELDS[key], key) for key in own.fields), messages],
    }


def _field(own: RecordSet, name: str, description: str, column: str, part: str = "") -> Document:
    """Return a field of texts. part: the key in each object of the column, if it holds objects."""
    source: Document = {"fileObject": {"@id": own.path}, "extract": {"column": column}}
    return {
        "@type": "cr:Field",
        "@id": f"{own.name}/{name}",
        "name": name.rpartition("/")[2],
        "description": description,
        "dataType": "sc:Text",
        "source": source | ({"transform": {"jsonPath": part}} if part else {}),
    }
