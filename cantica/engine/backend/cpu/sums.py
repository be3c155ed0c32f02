"""Sums over rows, and the greatest number of a row, written in vectors: a compiler may not change the order of a sum."""

from collections.abc import Callable
from functools import reduce
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.cgutils import alloca_once_value, for_range
from numba.extending import intrinsic

from cantica.engine.backend.cpu.compiled import inlined
from cantica.engine.backend.cpu.tile import load

LANES = 32
_NUMBER = ir.FloatType()


def _add(builder: Any, one: Any, other: Any) -> Any:
    return builder.fadd(one, other)


def _greater(builder: Any, one: Any, other: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", one, other), one, other)


def _reduction(merge: Callable, start: float, rows: int) -> Any:
    """Return a function of the addresses of three rows and their length: it merges the products of the first `rows` of them."""

    @intrinsic
    def reduction(context: Any, one: Any, two: Any, three: Any, length: Any) -> Any:
        def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
            length, lanes = arguments[3], ir.Constant(arguments[3].type, LANES)

            def merged(kind: Any, initial: Any, first: Any, last: Any) -> Any:
                place = alloca_once_value(builder, initial)
                builder.store(initial, place)
                with for_range(builder, last, first) as loop:
                    numbers = [load(builder, row, loop.index, kind) for row in arguments[:rows]]
                    builder.store(merge(builder, builder.load(place), reduce(builder.fmul, numbers)), place)
                return builder.load(place)

            whole = builder.sdiv(length, lanes)
            several = ir.VectorType(_NUMBER, LANES)
            total = merged(several, ir.Constant(several, [start] * LANES), ir.Constant(length.type, 0), whole)
            for size in (LANES >> n for n in range(1, LANES.bit_length())):  # the lanes in halves
                halves = (ir.Constant(ir.VectorType(ir.IntType(32), size), list(range(n, n + size))) for n in (0, size))
                total = merge(builder, *(builder.shuffle_vector(total, total, half) for half in halves))
            total = builder.extract_element(total, ir.Constant(ir.IntType(32), 0))
            rest = merged(_NUMBER, ir.Constant(_NUMBER, start), builder.mul(whole, lanes), length)
            return merge(builder, total, rest)

        return types.float32(*4 * [types.intp]), generate

    return reduction


_sum, _sum_of_products, _sum_of_triples = (_reduction(_add, 0.0, rows) for rows in (1, 2, 3))
_greatest = _reduction(_greater, float("-inf"), 1)


@inlined
def greatest(row):
    """Return the greatest number of a row. Here and below, the numbers of a row are adjacent."""
    return _greatest(row.ctypes.data, 0, 0, row.shape[0])


@inlined
def add_up(row):
    """Return the sum of a row."""
    return _sum(row.ctypes.data, 0, 0, row.shape[0])


@inlined
def dot(one, other):
    """Return the sum of the products of two rows."""
    return _sum_of_products(one.ctypes.data, other.ctypes.data, 0, one.shape[0])


@inlined
def dot_3(one, two, three):
    """Return the sum of the products of three rows."""
    return _sum_of_triples(one.ctypes.data, two.ctypes.data, three.ctypes.data, one.shape[0])
