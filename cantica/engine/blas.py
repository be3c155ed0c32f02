"""Which BLAS makes the numbers: the kernel that `toolchain.model.blas-core` in params.yaml names, one thread for each product.

Left alone, OpenBLAS picks a kernel by the processor, and gives each thread a part of a product. Either changes the last digits
of what is computed. So both are fixed here, whatever the environment says: results are a function of declared inputs on every
processor that has the kernel, for any number of cores and any load. On Linux alone: macOS has a BLAS of its own.
"""

import os
import sys

from cantica.core.documents import raise_any
from cantica.core.errors import Problem
from cantica.core.params import read_params


def read_model_params(*keys: str) -> dict:
    """`read_params` for a stage in which a model computes: with all of its toolchain, and the BLAS fixed. Raises InputError."""
    params = read_params(*keys, "toolchain.model")
    fix_blas(params["toolchain"]["model"]["blas-core"])
    return params


def fix_blas(core: str) -> None:
    """Load the BLAS of MLX and that of NumPy with the kernel of a core, as OpenBLAS names it, and one thread for a product.

    Raises InputError where either has another: it falls back in silence from a kernel that it does not carry.
    """
    if sys.platform != "linux":
        return
    for name in [name for name in os.environ if name.startswith("OPENBLAS_")]:
        del os.environ[name]
    os.environ |= {"OPENBLAS_CORETYPE": core, "OPENBLAS_NUM_THREADS": "1"}

    import mlx.core  # noqa: F401
    import numpy  # noqa: F401
    from threadpoolctl import threadpool_info

    loaded = [library for library in threadpool_info() if library["internal_api"] == "openblas"]
    raise_any([fault for library in loaded for fault in _faults(library, core)])


def _faults(library: dict, core: str) -> list[Problem]:
    """What one loaded OpenBLAS, as `threadpool_info` tells of it, computes with that it should not."""
    found, threads = library["architecture"], library["num_threads"]
    place, hint = "toolchain.model.blas-core", f"write {found} into params.yaml, and rebuild: results depend on it"
    problems = []
    if found != core:
        got, expected = f"{core}, for which {library['filepath']} takes {found}", "a core that it has a kernel of"
        problems.append(Problem("params.yaml", place, got, expected, hint))
    if threads != 1:
        got = f"{threads} threads in {library['filepath']}, which was loaded too early"
        problems.append(Problem("params.yaml", place, got, "one thread for each product"))
    return problems
