"""Compile functions with numba, and multiply matrices in them with OpenBLAS.

Compiled functions are kept in the environment, by the content of this package: a copy of the project does not compile again.
They release Python's interpreter lock.
"""

import hashlib
import inspect
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.caching import _CacheLocator
from numba.extending import intrinsic

PACKAGE = Path(__file__).parent
FOLDER = Path(sys.prefix, "lib", "cantica", "compiled")


@cache
def _content() -> str:
    """Return a hash of the modules of this package."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(PACKAGE.glob("*.py")))).hexdigest()


def folder() -> Path:
    """Return the folder of the compiled functions."""
    return FOLDER / _content()[:16]


class ByContent(_CacheLocator):
    """Tells numba where a compiled function of this package is kept. `blas.fix_blas` names it in the environment."""

    def __init__(self, function: Callable) -> None:
        self._line = inspect.getsourcelines(function)[1]

    def get_cache_path(self) -> str:
        """Return the folder."""
        return str(folder())

    def get_source_stamp(self) -> str:
        """Return what tells one version of the code from another."""
        return _content()

    def get_disambiguator(self) -> str:
        """Return what tells functions of the same name apart."""
        return str(self._line)

    @classmethod
    def from_function(cls, function: Callable, file: str) -> "ByContent | None":
        """Return the locator of a function; None for one of another package."""
        return cls(function) if Path(file).parent == PACKAGE else None


def compiled(function: Callable) -> Any:
    """Compile a function on its first call, or load it from the cache.

    The compiler may not change a rounding: a function is compiled anew into those that call it, and which of the copies runs
    depends on what was loaded before. So sums over a row are written in vectors (`sums`), and fused multiplications by hand.
    """
    return njit(nogil=True, cache=True, error_model="numpy")(function)


def inlined(function: Callable) -> Any:
    """Compile a function into each function that calls it."""
    return njit(nogil=True, error_model="numpy", inline="always")(function)


# ---- matrix products

_ROW_MAJOR, _AS_IS, _TRANSPOSED = 101, 111, 112
_INT, _NUMBER, _ADDRESS = types.int32, types.float32, types.intp
_sgemm = types.ExternalFunction(
    "cblas_sgemm", types.void(*6 * [_INT], _NUMBER, _ADDRESS, _INT, _ADDRESS, _INT, _NUMBER, _ADDRESS, _INT)
)
_sgemv = types.ExternalFunction(
    "cblas_sgemv", types.void(*4 * [_INT], _NUMBER, _ADDRESS, _INT, _ADDRESS, _INT, _NUMBER, _ADDRESS, _INT)
)


@compiled
def multiply(a, b, out, a_transposed, b_transposed, factor, kept):
    """Set out_MN to kept * out + factor * a @ b. The rows of each matrix are adjacent numbers."""
    m, n = out.shape
    k = a.shape[0] if a_transposed else a.shape[1]
    if m == 1 and not a_transposed:
        _sgemv(
            _ROW_MAJOR,
            _AS_IS if b_transposed else _TRANSPOSED,
            b.shape[0],
            b.shape[1],
            np.float32(factor),
            b.ctypes.data,
            b.strides[0] // 4,
            a.ctypes.data,
            1,
            np.float32(kept),
            out.ctypes.data,
            1,
        )
        return
    _sgemm(
        _ROW_MAJOR,
        _TRANSPOSED if a_transposed else _AS_IS,
        _TRANSPOSED if b_transposed else _AS_IS,
        m,
        n,
        k,
        np.float32(factor),
        a.ctypes.data,
        a.strides[0] // 4,
        b.ctypes.data,
        b.strides[0] // 4,
        np.float32(kept),
        out.ctypes.data,
        out.strides[0] // 4,
    )


# ---- exponentials


@intrinsic
def _from_bits(context: Any, bits: Any) -> Any:
    """Return the float32 with the bits of an int32."""

    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@intrinsic
def _fma(context: Any, x: Any, y: Any, z: Any) -> Any:
    """Return x * y + z, rounded once."""

    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float32(*3 * [types.float32]), generate


_LEAST, _MOST = np.float32(-87), np.float32(88)  # what float32 can hold the exponential of
_LOG2_E, _LN2_HIGH, _LN2_LOW = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
_C0, _C1, _C2, _C3, _C4, _C5 = map(
    np.float32, (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
)


@inlined
def exp(x):
    """Return e ** x to within 2 units in the last place, by the polynomial of Cephes' `expf` (Moshier, 1989).

    It is written out so that the compiler can compute several at a time.
    """
    x = min(max(x, _LEAST), _MOST)
    whole = np.floor(x * _LOG2_E + np.float32(0.5))
    rest = _fma(whole, -_LN2_LOW, _fma(whole, -_LN2_HIGH, x))
    near = _fma(_fma(_fma(_fma(_fma(_C0, rest, _C1), rest, _C2), rest, _C3), rest, _C4), rest, _C5)
    return (_fma(near, rest * rest, rest) + np.float32(1)) * _from_bits((np.int32(whole) + np.int32(127)) << np.int32(23))
