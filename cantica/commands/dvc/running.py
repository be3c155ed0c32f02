"""Which stages a build of this project runs right now, by the locks that DVC writes while it makes outputs."""

import json
from pathlib import Path

from cantica.commands.dvc.records import Lock, outputs

LOCKS = Path(".dvc/tmp/rwlock")


def running(graph: Lock, file: Path = LOCKS) -> set[str]:
    """The stages of `graph` whose outputs a process that still runs is writing."""
    import psutil

    try:
        writers = json.loads(file.read_text(encoding="utf-8"))["write"]
    except (OSError, ValueError, KeyError):  # no build was ever started here, or DVC is writing the file
        return set()
    written = {Path(path) for path, writer in writers.items() if psutil.pid_exists(writer["pid"])}
    root = Path.cwd()
    return {name for name, entry in graph.items() if any(root / path in written for path in outputs(entry))}
