"""What earlier revisions of the project held out."""

import json

from cantica.core.errors import InputError, Problem
from cantica.dataset.chat import asked_in
from cantica.dataset.words import fingerprint, words


def held_out_before(revisions: list[str]) -> dict[int, str]:
    """The fingerprint of each prompt that one of the revisions held out, with the revision's short name.

    Reads data/valid there through DVC, from its cache or a remote. Raises InputError.
    """
    found: dict[int, str] = {}
    for revision in revisions:
        try:
            for line in _held_out(revision):
                found.setdefault(fingerprint(words(asked_in(json.loads(line)["messages"]))), revision[:9])
        except Exception as error:  # git, DVC, its cache or a remote
            got = f"{revision}: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
            expected = "a commit whose data/valid can be read"
            hint = "fetch it with `dvc fetch --all-commits data/valid`, or take it off the list"
            raise InputError(Problem("params.yaml", "audit.earlier", got, expected, hint)) from None
    return found


def _held_out(revision: str):
    from dvc.api import DVCFileSystem

    files = DVCFileSystem(rev=revision)
    for path in sorted(path for path in files.find("data/valid") if path.endswith(".jsonl")):
        yield from files.read_text(path, encoding="utf-8").splitlines()
