"""Prepare every Python process of the project's environment at its start. A line of a `.pth` file calls `arm`.

This includes stages, tests and commands such as `mlx_lm generate`. `make setup` copies this folder into the environment, as
`_cantica_startup`, and must run again after an edit here. The copy imports nothing of `cantica`. Otherwise a stage in a copy of
the project would use the library of the checkout, because the current folder is not on `sys.path` yet.
"""

import importlib
import os
import sys

# {module of a library: the module in this folder with the patches to apply when it is first imported}
PREPARED = {
    "mlx.core": "mlx",
    "dvc.dvcfile": "dvc",
    "transformers.dependency_versions_check": "transformers",  # the first of its modules that transformers imports
}


class _Preparing:
    """An import finder that never finds a module. It is asked before each import, and applies patches first."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if own := PREPARED.pop(name, None):
            for patch in importlib.import_module(f"{__package__}.{own}").AT_IMPORT:
                patch()


def arm() -> None:
    """Put the environment's programs first, and apply patches as libraries are imported.

    With its programs first, `.venv/bin/dvc repro` runs stages with the environment's Python even if it is not activated.
    """
    programs = f"{sys.prefix}/bin"
    if os.environ.get("PATH", "").split(os.pathsep)[0] != programs:
        os.environ["PATH"] = os.pathsep.join(filter(None, [programs, os.environ.get("PATH")]))
    sys.meta_path.insert(0, _Preparing())
