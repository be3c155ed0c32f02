"""A hash of everything that a cached result depends on: settings, files, and the project's code that is loaded."""

import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path


def fingerprint(settings: object, inputs: Iterable[Path]) -> str:
    """Return the SHA-256 of JSON settings, of files and folders, and of the project's modules that are loaded so far."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    loaded = {name: module for name, module in sys.modules.items() if name.split(".")[0] in ("__main__", "cantica", "stages")}
    code = [Path(file) for _, module in sorted(loaded.items()) if (file := getattr(module, "__file__", None))]
    within = [sorted(path.rglob("*")) if path.is_dir() else [path] for path in inputs]
    for file in [*code, *(file for files in within for file in files if file.is_file())]:
        with file.open("rb") as opened:
            digest.update(f"{file.name} {hashlib.file_digest(opened, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()
