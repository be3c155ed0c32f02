"""Every patch of transformers. Those in AT_IMPORT are applied in every Python process of the environment.

A patch is a function; its docstring gives the reason. A copy of this module starts without `cantica` (see startup.py).
"""

import os
import sys

CHECKED = "5.23.0"  # the version that the patches were checked against
CONTENTS = f"{sys.prefix}/lib/cantica/transformers.pickle"


def contents() -> None:
    """At each import, transformers reads 3,300 of its own files to find out which file defines which name.

    `make setup` saves the result. Reading it instead halves the time that a stage needs to start.
    """
    if not os.path.exists(CONTENTS):
        return
    import pickle

    from transformers.utils import import_utils

    with open(CONTENTS, "rb") as file:
        version, found = pickle.load(file)
    if version == sys.modules["transformers"].__version__:
        stock = import_utils.create_import_structure_from_path
        import_utils.create_import_structure_from_path = lambda path: found.get(str(path)) or stock(path)  # type: ignore[assignment]  # the new one has no cache


AT_IMPORT = (contents,)
