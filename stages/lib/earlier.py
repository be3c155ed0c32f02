"""What earlier revisions of the project held out."""

import json
from functools import cache

from stages.lib.common.errors import InputError, Problem


def held_out_before(revisions: list[str]) -> dict[int, str]:
    """The fingerprint of each example that one of the revisions held out, with the revision's short name.

    Reads data/valid there through DVC, from its cache or a remote. Raises InputError.
    """
    return _held_out_before(tuple(revisions))


@cache
def _held_out_before(revisions: tuple[str, ...]) -> dict[int, str]:
    if not revisions:
        return {}
    from dvc.api import DVCFileSystem

    from stages.lib.scan import fingerprint

    found = {}
    for revision in revisions:
        try:
            files = DVCFileSystem(rev=revision)
            for path in sorted(files.find("data/valid")):
                for line in files.read_text(path, encoding="utf-8").splitlines():
                    found.setdefault(fingerprint(json.loads(line)["messages"]), revision[:9])
        except Exception as error:  # git, DVC, its cache or a remote
            got = f"{revision}: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
            hint = "fetch its held-out examples with `dvc fetch --all-commits data/valid`, or take it off the list"
            raise InputError(
                Problem("params.yaml", "audit.earlier", got, "a commit whose data/valid can be read", hint)
            ) from None
    return found
