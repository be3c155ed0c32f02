"""`cantica cite REV…`: write the files of finished runs into docs/experiments/runs/, and the pages of experiments from them."""

from pathlib import Path

from cantica.commands.experiments.cited import Cited, read_cited, unlike
from cantica.commands.experiments.gather import gather, write
from cantica.commands.experiments.matrix import matrix_faults
from cantica.commands.experiments.numbers import number_faults
from cantica.commands.experiments.pages import PAGES, PICTURES, pages
from cantica.commands.experiments.svg import MARK
from cantica.commands.experiments.tuning import RUNS
from cantica.commands.experiments.words import read_words
from cantica.commands.text import counted
from cantica.core.documents import raise_any
from cantica.core.errors import InputError, Problem
from cantica.core.files import write_text


def cite(names: list[str]) -> str:
    """Write the named runs and all pages. Without names, the pages alone, from the runs that lie there; git is not looked at.

    Pages of variants whose runs were removed are removed.

    Raises InputError, and writes nothing, if a run cannot be cited or one that lies there was altered.
    """
    new = gather(names) if names else []
    every = read_cited({run.folder for run in new}) + new
    raise_any(_faults(every))
    texts = _texts(every)
    left = _left_over(texts)
    if not every and not left:
        raise InputError(Problem(str(RUNS), "", "no runs", "runs to cite, such as `cantica cite NAME-s1 NAME-s2 NAME-s3`"))
    write(new)
    for path in left:
        path.unlink()
    for path, text in texts.items():
        write_text(path, text)
    written = [f"{run.folder}" for run in new] + [str(path) for path in texts] + [f"{path} removed" for path in left]
    return "\n".join([*written, "", f"{counted(len(every), 'run')} in {RUNS}; commit docs/experiments to share them"])


def cited_faults() -> list[Problem]:
    """The faults of cited runs, and a Problem for each page or picture that `cantica cite` would write otherwise."""
    try:
        runs = read_cited()
        problems = _faults(runs)
        texts = _texts(runs) if not problems else {}
    except InputError as error:
        return list(error.problems)
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    stale += _left_over(texts) if not problems else []
    expected, hint = (
        f"what follows from {RUNS} and variants/",
        "`cantica cite` writes it anew, and `git diff` shows what changed",
    )
    return problems + [Problem(str(path), "", "another content, or none", expected, hint) for path in stale]


def _faults(runs: list[Cited]) -> list[Problem]:
    """The faults of runs beside each other, and of their numbers."""
    return unlike(runs) + [problem for run in runs for problem in (*number_faults(run), *matrix_faults(run))]


def _texts(runs: list[Cited]) -> dict[Path, str]:
    """Every page and picture; none without runs."""
    return pages(runs, read_words(run.variant for run in runs)) if runs else {}


def _left_over(texts: dict[Path, str]) -> list[Path]:
    """The pages and pictures of variants without runs."""
    there = [path for path in (*PAGES.glob("*.md"), *PICTURES.glob("*.svg")) if path not in texts]
    return [path for path in there if MARK in path.read_text(encoding="utf-8")]
