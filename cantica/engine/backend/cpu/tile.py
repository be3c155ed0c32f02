"""The inner loops of products with narrow weights, written in vectors: the compiler finds them only in simpler loops.

Matrices are passed as addresses. A *panel* holds the weights of LANES outputs, those of each input side by side.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.cgutils import alloca_once_value, for_range, get_or_insert_function
from numba.extending import intrinsic

LANES = 16
_NUMBERS, _CODES = (ir.VectorType(kind, LANES) for kind in (ir.FloatType(), ir.IntType(8)))
_ZEROS, _NONE = ir.Constant(_NUMBERS, [0.0] * LANES), ir.Constant(_NUMBERS, ir.Undefined)
_SAME = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)


def _at(builder: Any, address: Any, index: Any, kind: Any) -> Any:
    """Return a pointer to item `index` of an array of `kind`."""
    return builder.gep(builder.inttoptr(address, kind.as_pointer()), [index])


def load(builder: Any, address: Any, index: Any, kind: Any) -> Any:
    """Return item `index` of an array of `kind`: a number, or several that need not be aligned."""
    return builder.load(_at(builder, address, index, kind), align=1 if kind is _CODES else 4)


def _add_product(builder: Any, one: Any, other: Any, term: Any) -> Any:
    """Return one * other + term, rounded once. All are _NUMBERS."""
    fma = get_or_insert_function(builder.module, ir.FunctionType(_NUMBERS, 3 * [_NUMBERS]), f"llvm.fma.v{LANES}f32")
    return builder.call(fma, (one, other, term))


def _wide(builder: Any, codes: Any, index: Any, scale: Any, bias: Any) -> Any:
    """Return the weights of one input in a panel of codes."""
    whole = builder.zext(load(builder, codes, index, _CODES), ir.VectorType(ir.IntType(32), LANES))
    return _add_product(builder, builder.sitofp(whole, _NUMBERS), scale, bias)


def _loop_over_inputs(builder: Any, codes: Any, groups: Any, size: Any, scales: Any, biases: Any, body: Callable) -> None:
    """Emit `body(input, weights)` for each input of a panel of codes. size: inputs of a group."""
    with for_range(builder, groups) as outer:
        scale, bias = (load(builder, each, outer.index, _NUMBERS) for each in (scales, biases))
        first = builder.mul(outer.index, size)
        with for_range(builder, size) as inner:
            i = builder.add(first, inner.index)
            body(i, _wide(builder, codes, i, scale, bias))


@intrinsic
def widen(context: Any, codes: Any, groups: Any, size: Any, scales: Any, biases: Any, out: Any) -> Any:
    """Set out to the float32 weights of a panel of codes, with `groups` groups of `size` inputs."""

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        codes, groups, size, scales, biases, out = arguments

        def store(i: Any, weights: Any) -> None:
            builder.store(weights, _at(builder, out, i, _NUMBERS), align=4)

        _loop_over_inputs(builder, codes, groups, size, scales, biases, store)
        return context.get_dummy_value()

    return types.void(*6 * [types.intp]), generate


def _tile(rows: int, narrow: bool) -> Any:
    """Return a function that multiplies some rows of x with a panel, of codes if it is narrow, or of float32.

    x: the address of the first row, and those after it at a distance of `stride` bytes; rows after number `last` repeat it.
    """

    @intrinsic
    def tile(
        context: Any, x: Any, stride: Any, last: Any, panel: Any, groups: Any, size: Any, scales: Any, biases: Any, out: Any
    ) -> Any:
        def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
            x, stride, last, panel, groups, size, scales, biases, out = arguments
            index = [ir.Constant(last.type, row) for row in range(rows)]
            places = [builder.select(builder.icmp_signed("<", row, last), row, last) for row in index]
            starts = [builder.add(x, builder.mul(place, stride)) for place in places]
            sums = [alloca_once_value(builder, _ZEROS) for _ in range(rows)]
            for each in sums:
                builder.store(_ZEROS, each)

            def add(i: Any, weights: Any) -> None:
                for start, each in zip(starts, sums, strict=True):
                    number = load(builder, start, i, ir.FloatType())
                    one = builder.insert_element(
                        ir.Constant(_NUMBERS, ir.Undefined), number, ir.Constant(_SAME.type.element, 0)
                    )
                    same = builder.shuffle_vector(one, ir.Constant(_NUMBERS, ir.Undefined), _SAME)
                    builder.store(_add_product(builder, same, weights, builder.load(each)), each)

            if narrow:
                _loop_over_inputs(builder, panel, groups, size, scales, biases, add)
            else:
                with for_range(builder, builder.mul(groups, size)) as loop:
                    add(loop.index, load(builder, panel, loop.index, _NUMBERS))
            for row, each in zip(index, sums, strict=True):
                builder.store(builder.load(each), _at(builder, out, row, _NUMBERS), align=4)
            return context.get_dummy_value()

        return types.void(*9 * [types.intp]), generate

    return tile


narrow_1, narrow_3, narrow_6 = (_tile(rows, narrow=True) for rows in (1, 3, 6))
wide_1, wide_3, wide_6 = (_tile(rows, narrow=False) for rows in (1, 3, 6))
