"""Less memory for training with MLX on a CPU: what a gradient need not keep, and what the C library need not give back."""

import ctypes
import functools
import mmap
import os
import platform

import mlx.core as mx
import numpy as np


def untraced(x: mx.array) -> mx.array:
    """The same values, computed now. MLX keeps no record of how, which it would do while it takes a gradient."""
    return mx.array(np.array(x))


@mx.custom_function
def _boundary(x: mx.array) -> mx.array:
    """x; what its gradient was computed from is not kept."""
    return x


@_boundary.vjp
def _boundary_vjp(primals, cotangent, output):
    return untraced(cotangent)


def bounded(call):
    """A block's `__call__` that, where it is trained, keeps nothing of the gradients of the blocks after it."""

    @functools.wraps(call)
    def block(self, x, *arguments, **options):
        return call(self, _boundary(x) if self.training else x, *arguments, **options)

    return block


def keep_memory() -> None:
    """Let the C library keep the memory that arrays give back, for arrays of other sizes, in huge pages; glibc only.

    Memory that is given back to the system and asked for again costs a fault a page, 1 to 3 seconds a gigabyte, and MLX's own
    cache serves again only what is of the same size.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes, libc.madvise.argtypes = [ctypes.c_void_p], [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    no_mmap, no_trim, one_arena = (-4, 0), (-1, -1), (-8, 1)  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_ARENA_MAX of malloc.h
    for setting in (no_mmap, no_trim, one_arena):
        libc.mallopt(*setting)
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    if block := libc.malloc(size):  # addresses, not yet memory
        huge = 2 << 20
        libc.madvise(-(-block // huge) * huge, size - huge, mmap.MADV_HUGEPAGE)
        libc.free(block)
        mx.set_cache_limit(0)
