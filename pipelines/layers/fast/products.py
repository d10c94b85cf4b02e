"""Products of small float32 matrices at the speed of the processor, for loops compiled by Numba.

A step of a recurrent layer multiplies few rows by the same matrix as the step before. Libraries of
linear algebra pack that matrix anew at every call; here it is packed once for all steps, and the
product runs on one thread without entering a library, so that a loop over steps stays compiled.

The innermost loop is `_make_tile`: it keeps a tile of the result in vector registers while it walks
along the inner dimension (Goto & van de Geijn, 2008, "Anatomy of high-performance matrix
multiplication", sec. 4). Vectors are LLVM's, 16 floats, which it splits where the processor's are
shorter; nothing here is bound to one make of processor.

Addresses are of floats in arrays the caller keeps alive; strides are in floats.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16  # floats in a vector: a panel's width, and what widths are rounded up to
ROWS = 8  # what numbers of rows are rounded up to
_FLOAT, _INT = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, LANES)
# 32 registers of 16 floats hold a tile of 8 × 2 vectors; 16 of 8 floats one of 4 × 1.
_WIDE = bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
_TALL, _BROAD = (8, 2) if _WIDE else (4, 1)


def round_up(number: int, multiple: int) -> int:
    """Return the least multiple that is not below a number."""
    return -(-number // multiple) * multiple


def _make_tile(rows: int, panels: int) -> Any:
    """Return a function that adds a product to a tile of `rows` × `panels` vectors.

    Its arguments, all int64: address, row stride and column stride of the left matrix; address, row
    stride and panel stride of the right one; address and row stride of the result; inner dimension.
    """

    @intrinsic
    def tile(_, left, left_row, left_column, right, right_row, panel, result, stride, depth):  # type: ignore[no-untyped-def]
        return types.void(*[types.int64] * 9), generate

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        left, left_row, left_column, right, right_row, panel, result, stride, depth = arguments
        fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), f"llvm.fma.v{LANES}f32"
        )

        def pointer(base: Any, *steps: tuple[Any, Any], kind: ir.Type = _FLOAT) -> Any:
            for number, size in steps:
                floats = builder.mul(number, size) if isinstance(size, ir.Value) else size
                base = builder.add(base, builder.mul(floats, _INT(4)))
            return builder.inttoptr(base, kind.as_pointer())

        def vector(index: int, row: int) -> Any:
            steps = ((_INT(row), stride), (_INT(index), _INT(LANES)))
            return pointer(result, *steps, kind=_VECTOR)

        tiles = [(row, index) for row in range(rows) for index in range(panels)]
        before, after = builder.block, builder.append_basic_block("after")
        loop = builder.append_basic_block("loop")
        start = [builder.load(vector(index, row), align=4) for row, index in tiles]
        builder.branch(loop)
        builder.position_at_end(loop)
        step = builder.phi(_INT)
        step.add_incoming(_INT(0), before)
        sums = [builder.phi(_VECTOR) for _ in tiles]
        for total, first in zip(sums, start, strict=True):
            total.add_incoming(first, before)
        columns = [
            builder.load(
                pointer(right, (step, right_row), (_INT(index), panel), kind=_VECTOR), align=4
            )
            for index in range(panels)
        ]
        new = []
        for row in range(rows):
            scalar = builder.load(pointer(left, (_INT(row), left_row), (step, left_column)))
            repeated = _repeat(builder, scalar)
            for index in range(panels):
                new.append(builder.call(fma, [repeated, columns[index], sums[len(new)]]))
        following = builder.add(step, _INT(1))
        step.add_incoming(following, loop)
        for total, value in zip(sums, new, strict=True):
            total.add_incoming(value, loop)
        builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)
        builder.position_at_end(after)
        for (row, index), value in zip(tiles, new, strict=True):
            builder.store(value, vector(index, row), align=4)
        return context.get_dummy_value()

    return tile


def _repeat(builder: Any, scalar: Any) -> Any:
    """Return a vector of one number."""
    empty = ir.Constant(_VECTOR, ir.Undefined)
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    first = builder.insert_element(empty, scalar, ir.IntType(32)(0))
    return builder.shuffle_vector(first, empty, zeros)


_broad_tile, _narrow_tile = _make_tile(_TALL, _BROAD), _make_tile(_TALL, 1)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def add_product(left, strides, right, right_strides, result, stride, shape):  # type: ignore[no-untyped-def]
    """Add left @ right to result; all addresses.

    Args:
        left: address of a matrix [rows, depth].
        strides: of its rows and columns.
        right: address of a matrix [depth, panels × 16].
        right_strides: of its rows and of its panels of 16 columns.
        result: address of a matrix [rows, panels × 16].
        stride: of its rows.
        shape: (rows, depth, panels); rows a multiple of `ROWS`, depth at least 1.
    """
    rows, depth, panels = shape
    panel = 0
    while panel < panels:
        broad = panel + _BROAD <= panels
        columns = right + 4 * panel * right_strides[1]
        for row in range(0, rows, _TALL):
            a = left + 4 * row * strides[0]
            c = result + 4 * (row * stride + panel * LANES)
            if broad:
                _broad_tile(
                    a, strides[0], strides[1], columns, right_strides[0], right_strides[1],
                    c, stride, depth,
                )  # fmt: skip
            else:
                _narrow_tile(
                    a, strides[0], strides[1], columns, right_strides[0], right_strides[1],
                    c, stride, depth,
                )  # fmt: skip
        panel += _BROAD if broad else 1


def pack(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix [depth, columns] as panels [columns / 16, depth, 16]; columns fit 16."""
    depth, columns = matrix.shape
    panels = matrix.reshape(depth, columns // LANES, LANES).transpose(1, 0, 2)
    return np.ascontiguousarray(panels)
