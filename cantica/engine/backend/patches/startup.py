"""What every Python process of the project's environment does at its start: a `.pth` line there calls `arm`.

That holds for a stage, a test or `mlx_lm generate` alike. `make setup` copies this folder into the environment, as
`_cantica_startup`, and must run again after an edit here. The copy imports nothing of `cantica`: a stage in a copy of the
project would then have the library of the checkout, because the current folder is not on `sys.path` yet.
"""

import importlib
import os
import sys

# The module of this folder whose AT_IMPORT are applied when a library's module is first imported.
PREPARED = {
    "mlx.core": "mlx",
    "dvc.dvcfile": "dvc",
    "transformers.dependency_versions_check": "transformers",  # the first of its modules that transformers imports
}


class _Preparing:
    """A finder that finds no module. It sees that one is about to be imported, and applies the patches first."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if own := PREPARED.pop(name, None):
            for patch in importlib.import_module(f"{__package__}.{own}").AT_IMPORT:
                patch()


def arm() -> None:
    """Put the environment's programs first, and apply patches as libraries are imported.

    With its programs first, `.venv/bin/dvc repro` runs stages with the environment's Python where nobody activated it.
    """
    programs = f"{sys.prefix}/bin"
    if os.environ.get("PATH", "").split(os.pathsep)[0] != programs:
        os.environ["PATH"] = os.pathsep.join(filter(None, [programs, os.environ.get("PATH")]))
    sys.meta_path.insert(0, _Preparing())
