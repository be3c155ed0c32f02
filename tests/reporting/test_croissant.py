"""The Croissant metadata of the exported dataset, read by `mlcroissant`, the reference implementation."""

import hashlib
import json
from pathlib import Path

import mlcroissant
import pytest

from cantica.core.documents import read_jsonl
from cantica.core.files import write_json, write_jsonl
from cantica.reporting.croissant import RecordSet, croissant, data_files

KEYS = ("id", "category", "origin")


def records_of(folder: Path) -> dict[str, list[dict]]:
    """The records of each record set, as `mlcroissant` loads them, with the keys that they have in the files."""
    dataset = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
    return {own.id: [plain(record, own.id) for record in dataset.records(own.id)] for own in dataset.metadata.record_sets}


def plain(value, name: str):
    """A record without the name of its set before each key, and with texts instead of bytes."""
    if isinstance(value, dict):
        return {key.removeprefix(f"{name}/").removeprefix("messages/"): plain(part, name) for key, part in value.items()}
    return [plain(part, name) for part in value] if isinstance(value, list) else value.decode()


def describes(folder: Path) -> dict:
    """The metadata, after a check that they name every file of examples with its size and hash."""
    document = json.loads((folder / "croissant.json").read_text())
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.jsonl")}
    assert {file["contentUrl"]: (file["contentSize"], file["sha256"]) for file in document["distribution"]} == {
        name: (f"{len(content)} B", hashlib.sha256(content).hexdigest()) for name, content in files.items()
    }
    return document


def test_fields_and_records_of_a_build_are_those_of_its_files(smoke):
    folder = smoke / "data/export"
    document = describes(folder)
    found = records_of(folder)
    assert found == {"train": read_jsonl(folder / "train.jsonl"), "validation": read_jsonl(folder / "valid.jsonl")}
    assert [own["description"].rpartition(": ")[2] for own in document["recordSet"]] == ["54 records", "18 records"]
    assert document["name"] == "Reflections on AI misalignment" and document["license"] == "apache-2.0"
    assert "54 training and 18 validation examples" in document["description"]


def test_samples_are_record_sets_of_their_own(branches):
    folder = branches / "data/export"
    describes(folder)
    found = records_of(folder)
    samples = {path.stem for path in (folder / "samples").glob("*.jsonl") if path.stat().st_size}
    assert samples and {name for name in found if name.startswith("samples-")} == {f"samples-{name}" for name in samples}
    for name in samples:
        assert found[f"samples-{name}"] == read_jsonl(folder / f"samples/{name}.jsonl")


@pytest.mark.parametrize("licences", [["mit", "mit"], ["mit", "unknown"]])
def test_empty_files_are_no_record_sets_and_licences_are_named_once(tmp_path, licences):
    messages = [{"role": role, "content": f"“{role}”"} for role in ("system", "user", "assistant")]
    examples = [{"id": f"a{n}", "category": "a", "origin": "x.jsonl:1", "messages": messages[n:]} for n in (0, 1)]
    write_jsonl(tmp_path / "train.jsonl", examples)
    write_jsonl(tmp_path / "a/valid.jsonl", [])
    sets = [RecordSet("train", "examples", "train.jsonl", KEYS), RecordSet("validation", "none", "a/valid.jsonl", KEYS)]
    document = croissant("Some, others", "Two examples", licences, data_files(tmp_path), sets)
    write_json(tmp_path / "croissant.json", document)
    assert records_of(tmp_path) == {"train": examples} and describes(tmp_path) == document
    assert document["license"] == ("mit" if licences == ["mit", "mit"] else ["mit", "unknown"])
