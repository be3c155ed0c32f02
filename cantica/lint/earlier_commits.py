"""The validation examples of earlier commits, which may never be trained on."""

import json
from collections.abc import Iterator

from cantica.core.errors import InputError, Problem
from cantica.dataset.chat import user_text
from cantica.dataset.words import fingerprint, words


def validation_prompts(commits: list[str]) -> dict[int, str]:
    """Return {fingerprint of a validation example's prompt: short hash of the first commit that has this example}.

    Reads data/valid of each commit through DVC, from its cache or a remote. Raises InputError.
    """
    found: dict[int, str] = {}
    for commit in commits:
        try:
            for line in _validation_lines(commit):
                found.setdefault(fingerprint(words(user_text(json.loads(line)["messages"]))), commit[:9])
        except Exception as error:  # git, DVC, its cache and its remotes raise errors of many types
            got = f"{commit}: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
            expected = "a commit whose data/valid can be read"
            hint = "fetch it with `dvc fetch --all-commits data/valid`, or remove it from the list"
            raise InputError(Problem("params.yaml", "audit.earlier", got, expected, hint)) from None
    return found


def _validation_lines(commit: str) -> Iterator[str]:
    from dvc.api import DVCFileSystem

    files = DVCFileSystem(rev=commit)
    for path in sorted(path for path in files.find("data/valid") if path.endswith(".jsonl")):
        yield from files.read_text(path, encoding="utf-8").splitlines()
