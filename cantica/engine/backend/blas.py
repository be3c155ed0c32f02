"""Fix the kernel of the BLAS: the one that `toolchain.blas-core` in params.yaml names, with one thread per product.

By default, OpenBLAS chooses a kernel by the processor and splits a product over threads. Both change the last digits, and so
does the processor that numba compiles for. With all of them fixed, results depend only on declared inputs: they are the same on
every processor that has the kernel, for any number of cores and any load. This applies only to Linux: macOS has its own BLAS.
"""

import os
import sys

from cantica.core.documents import raise_any
from cantica.core.errors import Problem
from cantica.core.params import read_params

KEPT = "cantica.engine.backend.cpu.compiled.ByContent"
# {core, as OpenBLAS names it: as LLVM, which numba compiles with, names it}. For others, numba uses no vectors wider than those
# that every processor of the architecture has.
LLVM = {
    "Nehalem": "nehalem",
    "Sandybridge": "sandybridge",
    "Haswell": "haswell",
    "Zen": "znver1",
    "SkylakeX": "skylake-avx512",
    "Cooperlake": "cooperlake",
    "Sapphirerapids": "sapphirerapids",
    "ARMV8": "generic",
    "NEOVERSEN1": "neoverse-n1",
    "NEOVERSEV1": "neoverse-v1",
}


def read_model_params(*keys: str) -> dict:
    """Return params as `read_params` does, for a stage that runs a model: also check its toolchain and fix the BLAS.

    Raises InputError.
    """
    params = read_params(*keys, "toolchain.model")
    fix_blas(params["toolchain"]["model"]["blas-core"])
    return params


def fix_blas(core: str) -> None:
    """Load the BLAS of MLX and the one of NumPy with the kernel for a core (an OpenBLAS name) and one thread per product.

    Raises InputError if either uses another kernel: OpenBLAS falls back silently from a kernel that it does not have.
    """
    if sys.platform != "linux":
        return
    for name in [name for name in os.environ if name.startswith(("OPENBLAS_", "NUMBA_"))]:
        del os.environ[name]
    os.environ |= {"OPENBLAS_CORETYPE": core, "OPENBLAS_NUM_THREADS": "1"}
    os.environ |= {"NUMBA_CPU_NAME": LLVM.get(core, "generic"), "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_LOCATOR_CLASSES": KEPT}

    import mlx.core  # noqa: F401
    import numpy  # noqa: F401
    from threadpoolctl import threadpool_info

    loaded = [library for library in threadpool_info() if library["internal_api"] == "openblas"]
    raise_any([fault for library in loaded for fault in _faults(library, core)])


def _faults(library: dict, core: str) -> list[Problem]:
    """Return a Problem for a wrong kernel and for a wrong number of threads. library: an item of `threadpool_info`."""
    found, threads = library["architecture"], library["num_threads"]
    place, hint = "toolchain.model.blas-core", f"write {found} into params.yaml, and rebuild: results depend on it"
    problems = []
    if found != core:
        got, expected = f"{core}, for which {library['filepath']} takes {found}", "a core that it has a kernel for"
        problems.append(Problem("params.yaml", place, got, expected, hint))
    if threads != 1:
        got = f"{threads} threads in {library['filepath']}, which was loaded too early"
        problems.append(Problem("params.yaml", place, got, "one thread per product"))
    return problems
