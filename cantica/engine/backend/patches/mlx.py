"""Every patch of MLX, all of them for a CPU. On Metal and CUDA, MLX's own kernels are faster and stay.

A patch is a function; its docstring gives the reason. Those in AT_IMPORT are applied in every Python process of the environment
when MLX is first imported. A copy of this module starts without `cantica` (see startup.py).
"""

import os
import sys

CHECKED = "0.32.4"  # the version that the patches were checked against
LIBRARY = f"{sys.prefix}/lib/cantica/libopenblas.so"


def openblas() -> None:
    """On Linux, load OpenBLAS before MLX, and switch `mx.compile` off.

    The wheel `mlx-cpu` links the reference BLAS, and takes `cblas_sgemm` from the process's global symbols. An OpenBLAS that
    exports the plain names and is loaded first makes matrix products 15 to 30 times faster. In `scipy-openblas32`,
    all names of OpenBLAS begin with `scipy_`; `make setup` writes a copy of it with the plain names.

    `mx.compile` builds CPU kernels with the machine's C++ compiler, and results would depend on that compiler, which is
    not a declared input. The environment variable tells MLX not to compile.
    """
    if os.path.exists(LIBRARY):  # not on macOS and CUDA
        import ctypes

        os.environ["MLX_DISABLE_COMPILE"] = "1"
        ctypes.CDLL(LIBRARY, mode=ctypes.RTLD_GLOBAL)


AT_IMPORT = (openblas,)
