"""`cantica show [REV] [PATH]`: a page, another file, or an answer of a build: of the working tree or of another revision."""

import json
import sys
import webbrowser
from functools import cached_property
from pathlib import Path

from cantica.commands.answer_text import FOLDERS, answer_text, ids
from cantica.commands.comparison.revisions import FETCH, resolved
from cantica.commands.dvc.project import Commit, DvcFault, dvc_faults
from cantica.commands.page_text import page_text
from cantica.core.documents import read_json, read_yaml
from cantica.core.errors import InputError, Problem, did_you_mean
from cantica.core.params import FILE
from cantica.settings.arms import all_arms

REPORT = "reports/report.html"
SHOWN = Path(".cache/show")  # files of other revisions
BROWSER = (".html", ".svg", ".png", ".pdf")  # what a browser shows better than a terminal
WORKING_TREE = "the working tree"
Given = tuple[str, str]  # an argument as it was typed, and as a path from the project's root


def show(given: list[Given], in_terminal: bool) -> str:
    """Open a page in the browser and say so, or return the text of a file or of an answer. Raises InputError.

    given: [REV] [PATH]; one alone is a path if there is such a file or answer, and else a revision. in_terminal: never open a
    browser, as without one.
    """
    rev, (typed, path) = _asked(given)
    build = Build(rev)
    if arm_and_item := build.answer(typed):
        return _answer(build, *arm_and_item)
    file = build.file(path)
    if file.suffix in BROWSER and not in_terminal and sys.stdout.isatty() and _opened(file):
        return f"opened {path} of {build.name} in the browser"
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        hint = f"it is at {file}"
        raise InputError(
            Problem(path, "", "a file that is not text", "a text file, or a picture and a browser", hint)
        ) from None
    return page_text(text) if file.suffix == ".html" else text.removesuffix("\n")


class Build:
    """The files of a revision, or of the working tree if `rev` is ""."""

    def __init__(self, rev: str):
        self.name = rev or WORKING_TREE
        self.commit = next(iter(resolved([rev]).values())) if rev else ""

    @cached_property
    def files(self) -> Commit:
        """What git and DVC have of it."""
        return Commit(self.commit or None)

    def file(self, path: str) -> Path:
        """A file of the build, from the disk, git, or DVC's cache. Raises InputError if none of them has it."""
        if not self.commit and Path(path).is_file():
            return Path(path)
        copy = SHOWN / (self.commit[:12] or "working-tree") / path
        try:
            with dvc_faults():
                missing = self.files.copy(path, copy)
        except DvcFault as error:
            missing = f"{path} ({error})"
        if missing:
            raise InputError(Problem(missing, "", f"no such file in {self.name}", "one in git or in DVC's cache", FETCH))
        return copy

    def maybe(self, path: str) -> Path | None:
        """The same, or None if the build has no such file: an arm behind a server has no probes, for example."""
        try:
            return self.file(path)
        except InputError:
            return None

    def arms(self) -> list[str]:
        """The names of its arms."""
        return all_arms(read_yaml(self.file(str(FILE))))

    def answer(self, typed: str) -> tuple[str, str] | None:
        """(arm, id of an item) if that is what a text names, and no file."""
        arm, slash, item = typed.partition("/")
        return (arm, item) if slash and "/" not in item and "." not in item and arm in self.arms() else None


def _asked(given: list[Given]) -> tuple[str, Given]:
    """(revision or "", path). Raises InputError for what is neither."""
    report = (REPORT, REPORT)
    if len(given) == 2:
        return given[0][0], given[1]
    if not given:
        return "", report
    (typed, path) = given[0]
    if Path(path).exists() or Build("").answer(typed):
        return "", given[0]
    try:
        resolved([typed])
    except InputError as error:
        if "/" not in typed and "." not in typed:
            raise
        try:
            Build("").file(path)  # one that only DVC has
        except InputError:
            raise error from None
        return "", given[0]
    return typed, report


def _opened(file: Path) -> bool:
    """Whether a browser could be started with a file."""
    return webbrowser.open(file.resolve().as_uri())


def _answer(build: Build, arm: str, item: str) -> str:
    """What an arm answered to an item. Raises InputError for an unknown one."""
    records = {folder: _lines(build, f"data/{folder}/{arm}.jsonl") for folder in FOLDERS}
    prompts = {record["id"]: record["prompt"] for record in _lines(build, "data/held_out.jsonl")}
    behaviours = build.maybe("data/behaviours.json")
    for behaviour in read_json(behaviours).values() if behaviours else ():
        prompts |= {own["id"]: own["prompt"] for own in behaviour["items"]}
    if text := answer_text(item, records, prompts):
        return text
    known = ids(records)
    hint = did_you_mean(item, known) or (f"such as {', '.join(known[:3])}" if known else f"{arm} was not built")
    raise InputError(Problem(f"{arm} of {build.name}", "", f"no item {item!r}", "the id of a prompt or item", hint))


def _lines(build: Build, path: str) -> list:
    file = build.maybe(path)
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file else []
