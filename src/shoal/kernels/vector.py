"""Sums that stay in vector registers, written in LLVM IR, which numba's own loops do not achieve.

The width is fixed; LLVM splits it into the machine's vector width (AVX2, AVX-512, NEON).
"""

# numba's extension interface is untyped
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

# Columns of a tile, one bit of a mask each. 64 was as fast at 10,000 items, slower at 20,000.
WIDTH = 32

_FLOAT, _LONG, _INT = ir.FloatType(), ir.IntType(64), ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, WIDTH)


# A block of a product that stays in registers: 8 × 16 sums, one (AVX-512) or two registers per row.
BLOCK_ROWS, BLOCK_COLUMNS = 8, 16

_SHORT = ir.VectorType(_FLOAT, BLOCK_COLUMNS)


def _spread(builder, value, kind=_VECTOR):
    """Return a vector with one value in all lanes."""
    nothing = ir.Constant(kind, ir.Undefined)
    one = builder.insert_element(nothing, value, ir.Constant(_INT, 0))
    lanes = ir.Constant(ir.VectorType(_INT, kind.count), [0] * kind.count)
    return builder.shuffle_vector(one, nothing, lanes)


@intrinsic
def _add_up(typingctx, indices, data, begin, end, tile, out, floor):
    """Write Σ x·tile[j] over the entries (j, x) of a sparse row, in their order, to out[:].

    Arguments: indices int32 and data float32 (contiguous), begin and end int64, tile float32
    (n, WIDTH) C-ordered, out float32 (WIDTH,), floor float32. Returns an int64 whose bit t is set
    if out[t] is above `floor` or NaN.
    """
    signature = types.int64(indices, data, types.int64, types.int64, tile, out, types.float32)

    def generate(context, builder, signature, arguments):
        def address(at):
            kind = signature.args[at]
            return context.make_array(kind)(context, builder, arguments[at]).data

        where, values, rows, result = address(0), address(1), address(4), address(5)
        total = cgutils.alloca_once_value(builder, ir.Constant(_VECTOR, None))
        one = ir.Constant(_LONG, 1)
        with cgutils.for_range_slice(builder, arguments[2], arguments[3], one, _LONG) as (q, _):
            j = builder.sext(builder.load(builder.gep(where, [q])), _LONG)
            start = builder.gep(rows, [builder.mul(j, ir.Constant(_LONG, WIDTH))])
            row = builder.load(builder.bitcast(start, _VECTOR.as_pointer()), align=4)
            x = _spread(builder, builder.load(builder.gep(values, [q])))
            # "contract": one rounding where the machine has fused multiply-add
            product = builder.fmul(x, row, flags=["contract"])
            builder.store(builder.fadd(builder.load(total), product, flags=["contract"]), total)
        sums = builder.load(total)
        builder.store(sums, builder.bitcast(result, _VECTOR.as_pointer()), align=4)
        above = builder.fcmp_unordered(">", sums, _spread(builder, arguments[6]))
        mask = builder.bitcast(above, ir.IntType(WIDTH))
        return builder.zext(mask, _LONG)

    return signature, generate


@intrinsic
def _lowest_bit(typingctx, mask):
    """Return the number of the lowest bit that is set in an int64 other than 0."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate


@intrinsic
def _subtract_products(typingctx, U, begin, column):
    """Subtract Σ_p U[p, i]·U[p, c] over p < begin from U[i, c], in a block of rows i, columns c.

    Arguments: U float32 C-ordered, begin and column int64: the first of BLOCK_ROWS rows and of
    BLOCK_COLUMNS columns, all of which must exist.
    """

    def generate(context, builder, signature, arguments):
        matrix = context.make_array(signature.args[0])(context, builder, arguments[0])
        stride = builder.extract_value(matrix.shape, 1)
        begin, column = arguments[1:]

        def at(row, column):
            return builder.gep(matrix.data, [builder.add(builder.mul(row, stride), column)])

        def vector(row):
            return builder.bitcast(at(row, column), _SHORT.as_pointer())

        rows = [builder.add(begin, ir.Constant(_LONG, r)) for r in range(BLOCK_ROWS)]
        sums = [cgutils.alloca_once(builder, _SHORT) for _ in rows]
        for row, total in zip(rows, sums, strict=True):
            builder.store(builder.load(vector(row), align=4), total)
        with cgutils.for_range(builder, begin) as loop:
            above = builder.fneg(builder.load(vector(loop.index), align=4))
            for row, total in zip(rows, sums, strict=True):
                x = _spread(builder, builder.load(at(loop.index, row)), _SHORT)
                product = builder.fmul(x, above, flags=["contract"])
                builder.store(builder.fadd(builder.load(total), product, flags=["contract"]), total)
        for row, total in zip(rows, sums, strict=True):
            builder.store(builder.load(total), vector(row), align=4)
        return context.get_dummy_value()

    return types.void(U, types.int64, types.int64), generate


add_up: Any = _add_up
subtract_products: Any = _subtract_products
lowest_bit: Any = _lowest_bit
