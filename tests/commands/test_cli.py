"""The command line as a whole: its version, and where it may be run."""

import tomllib

from tests.support.projects import ROOT, ok, refused


def test_it_prints_the_version_of_the_project_anywhere(tmp_path):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert ok(tmp_path, "cantica", "--version") == f"cantica {version}\n"


def test_outside_a_project_it_says_where_to_run_it(tmp_path):
    said = refused(tmp_path, "cantica", "timings")
    assert said == f"cantica: no dvc.yaml in {tmp_path}, nor in a folder above it: run it in a project\n"


def test_in_a_folder_of_a_project_paths_start_from_there(smoke):
    folder = smoke / "prompts/held_out"
    assert ok(folder, "cantica", "timings") == ok(smoke, "cantica", "timings")
    here = ok(smoke, "cantica", "explain", "prompts/held_out/general.yaml")
    assert here.startswith("prompts/held_out/general.yaml is an input")
    assert ok(folder, "cantica", "explain", "general.yaml") == here
    assert ok(folder, "cantica", "explain", str(folder / "general.yaml")) == here
    assert ok(folder, "cantica", "explain", "../../models/base") == ok(smoke, "cantica", "explain", "models/base")


def test_a_file_that_is_named_in_a_folder_of_a_project_is_found_there(smoke, tmp_path):
    scores = tmp_path / "scores.jsonl"
    scores.write_text("{}\n")
    said = refused(smoke / "prompts", "cantica", "agreement", str(scores))
    assert "scores.jsonl" in said and "no such file" not in said.lower()
