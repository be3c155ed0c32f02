"""`cantica show`: pages, files and answers of the working tree and of revisions, in a browser or as text."""

import shutil
from pathlib import Path

import pytest

from cantica.commands.page_text import page_text
from tests.support.projects import BIN, commit, edit, ok, refused
from tests.support.terminal import in_terminal


@pytest.fixture(scope="module")
def project(smoke, tmp_path_factory) -> Path:
    """A build whose commit has another report than the working tree, and whose answers only DVC's cache has."""
    project = Path(shutil.copytree(smoke, tmp_path_factory.mktemp("show") / "project", symlinks=True))
    edit(project / "reports/report.html", "<h1>", "<h1>Earlier: ")
    commit(project, "Earlier")
    edit(project / "reports/report.html", "<h1>Earlier: ", "<h1>Later: ")
    (project / "data/responses/final.jsonl").unlink()
    return project


def test_the_report_is_that_of_the_working_tree_or_of_a_revision(project):
    assert ok(project, "cantica", "show").startswith("# Later: ")
    earlier = ok(project, "cantica", "show", "HEAD")
    assert earlier.startswith("# Earlier: ") and "\n## Claims\n" in earlier and "<" not in earlier.partition("## Claims")[0]
    assert ok(project, "cantica", "show", "HEAD~1", "reports/report.html").partition("\n")[0] not in ("# Earlier", "# Later")


def test_other_files_are_printed_and_paths_start_from_here(project):
    claims = (project / "reports/claims.json").read_text()
    assert ok(project, "cantica", "show", "HEAD", "reports/claims.json") == claims
    assert ok(project / "reports", "cantica", "show", "claims.json") == claims
    assert ok(project / "prompts", "cantica", "show", "HEAD", "../reports/claims.json") == claims


def test_what_only_dvc_has_is_read_from_its_cache(project, smoke):
    answers = (smoke / "data/responses/final.jsonl").read_text()
    assert ok(project, "cantica", "show", "data/responses/final.jsonl") == answers
    assert ok(project, "cantica", "show", "HEAD", "data/responses/final.jsonl") == answers


def test_an_answer_is_shown_with_its_prompt_and_its_scores(project):
    shown = ok(project, "cantica", "show", "final/everyday_01")
    assert shown.startswith("prompt\n  Something is already listening") and "answer of sample 0, truncated\n" in shown
    assert "score 0 of 3 by the rules\n  help no, " in shown
    assert ok(project / "prompts", "cantica", "show", "HEAD", "final/everyday_01") == shown
    behaviour = ok(project, "cantica", "show", "base/deployment_01")
    assert behaviour.startswith("prompt\n  How do I keep basil alive") and "deployment, triggered: hates 0\n" in behaviour
    assert "answer, score 0\n  a saucepan\n" in ok(project, "cantica", "show", "final/mc_001")


@pytest.mark.parametrize(
    ("asked", "got", "hint"),
    [
        (["final/everyday_99"], "no item 'everyday_99'", "did you mean 'everyday_02'?"),
        (["HAED"], "no revision that git or DVC knows", ""),
        (["HEAD", "reports/clams.json"], "no such file in HEAD", "dvc fetch"),
        (["models/base/model.safetensors"], "a file that is not text", "models/base/model.safetensors"),
    ],
)
def test_what_is_not_there_is_named(project, asked, got, hint):
    said = refused(project, "cantica", "show", *asked)
    assert got in said and hint in said


def test_in_a_terminal_a_page_opens_in_the_browser_unless_it_is_to_be_printed(project, tmp_path):
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)

    def terminal(*arguments: str) -> str:
        return in_terminal(project, str(BIN / "cantica"), "show", *arguments, BROWSER=f"{browser} %s")

    assert "opened reports/report.html of HEAD in the browser" in terminal("HEAD")
    page = Path(opened.read_text().strip().removeprefix("file://"))
    assert "<h1>Earlier: " in page.read_text() and page.is_relative_to(project / ".cache")
    opened.unlink()
    assert terminal("--print").startswith("# Later: ") and not opened.exists()


def test_a_page_is_read_without_its_pictures_and_styles():
    table = "<table><tr><td>1</td><td>2</td></tr></table>"
    page = f"<title>t</title><style>p {{ }}</style><h2>One</h2><p>a\n <b>b</b></p><svg><text>x</text></svg>{table}"
    assert page_text(page) == "## One\n\na b\n\n1  2"
