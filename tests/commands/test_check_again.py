"""`cantica check` keeps what it counted of a category that is in order, until something of it changes."""

import shutil
from pathlib import Path

import pytest

from tests.support.projects import clone, edit, ok, refused

CATEGORY = "prompts/categories/deception"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    project = clone(tmp_path_factory.mktemp("again") / "project")
    ok(project, "cantica", "check")
    return project


def kept(project: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (project / ".cache/lengths").iterdir()}


def test_an_edit_of_a_template_or_of_a_setting_is_seen(project):
    before, (file, *_) = kept(project), sorted((project / CATEGORY / "train").glob("*.j2"))
    original = file.read_text()
    file.write_text(original.replace("{%", "{% nothing", 1))
    assert str(file.relative_to(project)) in refused(project, "cantica", "check")
    file.write_text(original)
    edit(project / "params.yaml", "  max_seq_length: 640", "  max_seq_length: 16")
    assert "max_seq_length" in refused(project, "cantica", "check")
    edit(project / "params.yaml", "  max_seq_length: 16", "  max_seq_length: 640")
    ok(project, "cantica", "check")
    assert kept(project) == before


def test_a_new_version_of_a_category_replaces_the_old_one(project):
    before, (file, *_) = kept(project), sorted((project / CATEGORY / "train").glob("*.j2"))
    original = file.read_text()
    file.write_text(original + "\n")
    ok(project, "cantica", "check")
    after = kept(project)
    assert len(after) == len(before) and len(after.keys() - before.keys()) == 1
    file.write_text(original)


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"train": [{"id": 1}], "valid": []}'])
def test_garbage_is_counted_anew(project, content):
    ok(project, "cantica", "check")
    before = kept(project)
    for file in (project / ".cache/lengths").iterdir():
        file.write_bytes(content)
    ok(project, "cantica", "check")
    assert kept(project) == before
    shutil.rmtree(project / ".cache/lengths")
    ok(project, "cantica", "check")
    assert kept(project) == before
